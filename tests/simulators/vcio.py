"""The firmware of a Raspberry Pi 5 behind a Unix socket, and the device that reaches it.

A kernel without CUSE can make no /dev/vcio, so the property message, exactly as the ioctl would carry it, goes through
a socket instead; this end reads and answers it as the firmware does. `vcgencmd` is a real program that prints the same.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from edgebench_probes.sources.pmic import Device

# One line of each kind as a Pi 5 prints them; the numbers in brackets do not pair.
ADC = """ 3V7_WL_SW_A current(0)=0.00390372A
   3V3_SYS_A current(1)=0.06245952A
   1V8_SYS_A current(2)=0.18542670A
  DDR_VDD2_A current(3)=0.02634880A
  DDR_VDDQ_A current(4)=0.00000000A
   1V1_SYS_A current(5)=0.18542670A
    0V8_SW_A current(6)=0.37963677A
  VDD_CORE_A current(7)={core:.8f}A
   3V3_DAC_A current(17)=0.00000000A
   3V3_ADC_A current(18)=0.00030525A
   0V8_AON_A current(16)=0.00494505A
      HDMI_A current(22)=0.02295480A
 3V7_WL_SW_V volt(8)=3.71825690V
   3V3_SYS_V volt(9)=3.33037820V
   1V8_SYS_V volt(10)=1.79853300V
  DDR_VDD2_V volt(11)=1.11136000V
  DDR_VDDQ_V volt(12)=0.60512860V
   1V1_SYS_V volt(13)=1.10989010V
    0V8_SW_V volt(14)=0.80402920V
  VDD_CORE_V volt(15)=0.86173300V
   3V3_DAC_V volt(20)=3.31623870V
   3V3_ADC_V volt(21)=3.31501770V
   0V8_AON_V volt(19)=0.79673390V
      HDMI_V volt(23)=5.13986000V
     EXT5V_V volt(24)=5.14240000V
      BATT_V volt(25)=0.00000000V
"""
REST_W = 3.71825690 * 0.00390372 + 3.3303782 * 0.06245952 + 1.798533 * 0.1854267 + 1.11136 * 0.0263488
REST_W += 1.1098901 * 0.1854267 + 0.8040292 * 0.37963677 + 3.3150177 * 0.00030525
REST_W += 0.7967339 * 0.00494505 + 5.13986 * 0.0229548


class SocketDevice(Device):
    """An ioctl carried over a Unix socket: request and length, then the buffer; the answer in the same length."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._socket: socket.socket | None = None

    def open(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(self.path))

    def ioctl(self, request: int, buffer: bytearray) -> None:
        assert self._socket is not None
        self._socket.sendall(struct.pack("<II", request, len(buffer)) + buffer)
        answer = self._socket.recv(1 + len(buffer), socket.MSG_WAITALL)
        if not answer or answer[0]:
            raise OSError(answer[0] if answer else errno.ENODEV, "refused")
        buffer[:] = answer[1:]

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Firmware:
    """What the firmware answers; `core_w` is the power of VDD_CORE, `fault` an errno."""

    def __init__(self) -> None:
        self.core_w = 4.0
        self.throttled = 0
        self.fault = 0
        self.pi5 = True
        self.asked: list[str] = []

    def answer(self, command: str) -> str:
        self.asked.append(command)
        if command == "get_throttled":
            return f"throttled={self.throttled:#x}\n"
        if command == "pmic_read_adc" and self.pi5:
            return ADC.format(core=self.core_w / 0.86173300)
        return 'error=1 error_msg="Command not registered"'

    def property(self, request: int, message: bytes) -> bytes:
        size, code, tag, space, used, failed = struct.unpack_from("<6I", message)
        assert request == 0xC0086400
        assert (size, code, tag, used, failed) == (len(message), 0, 0x00030080, 0, 0)
        assert message[-4:] == bytes(4)  # the end tag
        assert space + 28 == len(message)
        text = self.answer(message[24:-4].split(b"\0", 1)[0].decode()).encode()
        body = text[: space - 1].ljust(space, b"\0")
        return struct.pack("<6I", size, 0x80000000, tag, space, 0x80000000 | len(text), 0) + body + bytes(4)

    def serve(self, connection: socket.socket) -> None:
        with connection:
            while head := connection.recv(8, socket.MSG_WAITALL):
                request, length = struct.unpack("<II", head)
                message = connection.recv(length, socket.MSG_WAITALL)
                if self.fault:
                    connection.sendall(bytes([self.fault]) + message)
                else:
                    connection.sendall(b"\0" + self.property(request, message))


@contextlib.contextmanager
def firmware(path: Path) -> Iterator[Firmware]:
    """Serve at this socket while the context lasts."""
    served = Firmware()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(0.1)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    threading.Thread(target=served.serve, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            ended.set()
            thread.join()


def vcgencmd(folder: Path, core_w: float = 4.0, throttled: int = 0, *, pi5: bool = True) -> Path:
    """Write the program into a folder to be put on the PATH."""
    adc = ADC.format(core=core_w / 0.86173300) if pi5 else 'error=1 error_msg="Command not registered"\n'
    program = folder / "vcgencmd"
    program.write_text(
        "#!/bin/sh\n"
        f"case \"$1\" in\npmic_read_adc) echo '{adc}' ;;\n"
        f"get_throttled) echo throttled={throttled:#x} ;;\n"
        "*) echo 'error=1 error_msg=\"Command not registered\"' ;;\nesac\n",
        encoding="ascii",
    )
    program.chmod(0o755)
    return program
