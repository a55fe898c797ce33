"""The meters, a row each: the code that reads it, and how it is recognised on a USB bus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgebench_probes.meters import fnirsi, shizuku, tc66, witrn, yzx

Kind = Literal["tty", "hidraw", "usb", "hwmon"]


@dataclass(frozen=True, slots=True)
class Device:
    """A meter by its USB identity; `product` None: all of the vendor's. `kind` is the node that the kernel makes."""

    title: str
    kind: Kind
    vendor: int
    product: int | None = None


@dataclass(frozen=True, slots=True)
class MeterRow:
    """One meter.

    `source` names what makes its Source of a specification (``module:function``, imported when the meter is asked for);
    None: a probe of this name outside this room reads it. `usb` are its devices on a bus. `needs` is the option that a
    specification must have.
    """

    name: str
    source: str | None
    usb: tuple[Device, ...] = ()
    needs: str | None = None


_HERE = "edgebench_probes.meters."
ROWS = (
    MeterRow(
        "fnirsi",
        _HERE + "usbmeters:fnirsi_source",
        tuple(Device(model.title, "hidraw", *model.usb) for model in fnirsi.MODELS.values()),
    ),
    MeterRow(
        "shizuku",
        _HERE + "usbmeters:shizuku_source",
        tuple(Device("Shizuku YK001, AVHzY CT-3 or KT002", "tty", *usb) for usb in shizuku.USB),
    ),
    MeterRow("rd_um", _HERE + "usbmeters:rd_um_source"),
    MeterRow("tc66", _HERE + "usbmeters:tc66_source", (Device("RuiDeng TC66", "tty", tc66.VENDOR),)),
    MeterRow(
        "yzx",
        _HERE + "usbmeters:yzx_source",
        (Device("YZXStudio meter, or another device with a WCH serial chip", "tty", yzx.VENDOR),),
    ),
    MeterRow("witrn", _HERE + "usbmeters:witrn_source", (Device("WITRN meter", "hidraw", witrn.VENDOR),)),
    MeterRow(
        "joulescope",
        _HERE + "joulescope:JoulescopeSource",
        (Device("Joulescope JS110", "usb", 0x1FC9, 0xFC93), Device("Joulescope JS220", "usb", 0x16D0, 0x10BA)),
    ),
    MeterRow(
        "ppk2",
        _HERE + "ppk2:Ppk2Source",
        (Device("Nordic Power Profiler Kit II", "tty", 0x1915, 0xC00A),),
        needs="voltage=5",
    ),
    MeterRow("scpi", _HERE + "scpi:ScpiSource"),
    MeterRow("shelly", _HERE + "plugs:PlugSource"),
    MeterRow("tasmota", _HERE + "plugs:PlugSource"),
    MeterRow("tcp", "edgebench_probes.remote.source:RemoteSource"),
    MeterRow(
        "hwmon",
        None,
        (Device("POWER-Z KM002C", "hwmon", 0x5FC9, 0x0061), Device("POWER-Z KM003C", "hwmon", 0x5FC9, 0x0063)),
    ),
)
