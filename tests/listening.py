"""Where processes listen, and which row of docker/README.md speaks of them."""

import ipaddress
import socket

import psutil

# A word of the command line -> the row's first words. Of Ray's processes; what is none of these is a worker or driver.
ROWS = (
    ("gcs_server", "GCS"),
    ("raylet/raylet", "raylet"),
    ("Agent", "agents"),
    ("dashboard", "dashboard"),
)


def listeners(*roots):
    """(row, address, port) of everything that these processes and what they started listen on."""
    found = set()
    for root in roots:
        for process in [root, *root.children(recursive=True)]:
            try:
                command = " ".join(process.cmdline())
                sockets = process.net_connections(kind="inet")
            except psutil.Error:
                continue
            row = next((row for word, row in ROWS if word in command), "workers and drivers")
            found |= {(row, s.laddr.ip, s.laddr.port) for s in sockets if _is_open(s)}
    return found


def _is_open(one):
    return one.status == psutil.CONN_LISTEN or (one.type == socket.SOCK_DGRAM and not one.raddr)


def on_loopback(address):
    """Whether only this machine reaches an address."""
    found = ipaddress.ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback
