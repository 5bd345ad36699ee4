"""One trial in a network namespace of its own, with few ports: `unshare --net python -m tests.verdict.alone FOLDER PORTS`.

The folder holds `images/` and `spec.yaml`; the trial's record is printed.
"""

import fcntl
import socket
import struct
import sys
from pathlib import Path

from harness.stage import Places
from tests.new.conftest import run_in

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def main() -> None:
    folder, ports = Path(sys.argv[1]), int(sys.argv[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"40000 {40000 + ports - 1}")
    (trial,) = run_in(folder, Places.under(folder), (folder / "spec.yaml").read_text(), "process")
    sys.stdout.write(trial.model_dump_json())


main()
