"use strict";
// Tables are whole without this script; with it a click on a column sorts, and words or a click filter the rows.
for (const table of document.querySelectorAll("table.data")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];

  const key = (row, column) => {
    const cell = row.cells[column];
    return "key" in cell.dataset ? Number(cell.dataset.key) : cell.textContent.trim();
  };
  const order = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  const bare = (value) => value === "" || value === "–";

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      const sorted = next === "none" ? rows : rows.toSorted((first, second) => {
        const [a, b] = [key(first, column), key(second, column)];
        // What is missing stays at the end, whichever way.
        if (bare(a) || bare(b)) return bare(a) - bare(b);
        return next === "ascending" ? order(a, b) : order(b, a);
      });
      body.append(...sorted);
    });
  });

  if (rows.length < 6) continue;
  const left = heads.map((head, column) => column).filter((column) => !heads[column].classList.contains("right"));
  // Names are made of words; what stands in another column is one.
  const parts = (row, column) => (column ? [row.cells[column].textContent.trim()] : row.cells[0].textContent.split(/[\s/]+/));
  const wordsOf = (row) => new Set(left.flatMap((column) => parts(row, column)).filter((word) => /\p{L}/u.test(word)));
  const words = new Map(rows.map((row) => [row, wordsOf(row)]));
  const counts = new Map();
  for (const found of words.values()) for (const word of found) counts.set(word, (counts.get(word) ?? 0) + 1);
  const offered = [...counts].filter(([, count]) => count > 1 && count < rows.length).sort((a, b) => b[1] - a[1]);

  const tools = document.createElement("div");
  tools.className = "tools";
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.type = "search";
  label.append("Rows with ", input);
  const told = document.createElement("output");
  const buttons = offered.slice(0, 10).map(([word]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      filter();
    });
    return button;
  });
  const filter = () => {
    const pressed = buttons.filter((one) => one.getAttribute("aria-pressed") === "true").map((one) => one.textContent);
    const typed = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(pressed.every((word) => words.get(row).has(word)) && typed.every((word) => text.includes(word)));
      shown += !row.hidden;
    }
    told.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} rows`;
  };
  input.addEventListener("input", filter);
  tools.append(label, ...buttons, told);
  table.parentElement.before(tools);
}
