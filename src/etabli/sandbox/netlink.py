"""Links, addresses and routes of a network namespace, by rtnetlink messages (rtnetlink(7)) over one socket.

Six kinds of messages are all that a project's network needs. A library that knows every kind costs 25 MB and a third of a second
in the process that starts sandboxes. A socket stays in the namespace it was opened in, so one process can work on two.
"""

import errno
import os
import socket
import struct
from types import TracebackType

_RTM_NEWLINK, _RTM_DELLINK, _RTM_NEWADDR, _RTM_NEWROUTE = 16, 17, 20, 24
_REQUEST, _ACK, _CREATE, _EXCLUSIVE = 0x1, 0x4, 0x400, 0x200
_NLMSG_ERROR = 2
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 1, 3, 4, 10, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_OIF, _RTA_GATEWAY = 4, 5
_IFF_UP = 0x1
_RT_TABLE_MAIN, _RTPROT_BOOT, _RTN_UNICAST = 254, 3, 1
_ANSWER_BYTES = 65_536


class Netlink:
    """The links of the network namespace that the caller is in when it makes this."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def add_bridge(self, name: str, *, mtu: int) -> None:
        """Make a bridge whose packets have at most `mtu` bytes."""
        info = _nested(_IFLA_LINKINFO, _text(_IFLA_INFO_KIND, "bridge"))
        self._ask(_RTM_NEWLINK, _link() + _text(_IFLA_IFNAME, name) + info, _CREATE | _EXCLUSIVE)
        self._ask(_RTM_NEWLINK, _link(self.index(name)) + _number(_IFLA_MTU, mtu))

    def add_pair(self, name: str, *, peer: str, peer_namespace: int, peer_mac: bytes, mtu: int) -> None:
        """Make a virtual cable: `name` here, `peer` in the namespace that the descriptor names, with that hardware address."""
        size = _number(_IFLA_MTU, mtu)
        far_end = _link() + _text(_IFLA_IFNAME, peer) + _number(_IFLA_NET_NS_FD, peer_namespace) + size
        far_end += _attribute(_IFLA_ADDRESS, peer_mac)
        kind = _text(_IFLA_INFO_KIND, "veth") + _nested(_IFLA_INFO_DATA, _attribute(_VETH_INFO_PEER, far_end))
        body = _link() + _text(_IFLA_IFNAME, name) + size + _nested(_IFLA_LINKINFO, kind)
        self._ask(_RTM_NEWLINK, body, _CREATE | _EXCLUSIVE)

    def delete(self, name: str) -> None:
        """Delete a link, and its other end. Absent is success."""
        try:
            self._ask(_RTM_DELLINK, _link() + _text(_IFLA_IFNAME, name))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise

    def up(self, name: str, *, master: str | None = None) -> None:
        """Switch a link on, as a port of the bridge `master` where one is given."""
        if master is not None:
            body = _link(self.index(name)) + _number(_IFLA_MASTER, self.index(master))
            self._ask(_RTM_NEWLINK, body)
        self._ask(_RTM_NEWLINK, _link(self.index(name), flags=_IFF_UP))

    def add_address(self, name: str, address: str, prefix: int) -> None:
        """Give a link an IPv4 address."""
        packed = socket.inet_aton(address)
        header = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, 0, self.index(name))
        body = header + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        self._ask(_RTM_NEWADDR, body, _CREATE)

    def add_default_route(self, gateway: str, name: str) -> None:
        """Send what is for nobody here to `gateway`, over the link."""
        header = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, 0, _RTN_UNICAST, 0)
        body = header + _attribute(_RTA_GATEWAY, socket.inet_aton(gateway)) + _number(_RTA_OIF, self.index(name))
        self._ask(_RTM_NEWROUTE, body, _CREATE)

    def index(self, name: str) -> int:
        """The number of a link. OSError where there is none."""
        reply = self._ask(18, _link() + _text(_IFLA_IFNAME, name))  # RTM_GETLINK
        return int(struct.unpack_from("=i", reply, 4)[0])

    def _ask(self, kind: int, body: bytes, flags: int = 0) -> bytes:
        """Send one message; answer the body of the reply, empty for a bare acknowledgement."""
        self._sequence += 1
        wanted = _REQUEST | flags | (0 if kind == 18 else _ACK)
        header = struct.pack("=IHHII", 16 + len(body), kind, wanted, self._sequence, 0)
        self._socket.send(header + body)
        reply = self._socket.recv(_ANSWER_BYTES)
        length, answer_kind = struct.unpack_from("=IH", reply)
        payload = reply[16:length]
        if answer_kind == _NLMSG_ERROR:
            number = -struct.unpack_from("=i", payload)[0]
            if number:
                raise OSError(number, f"netlink message {kind}: {os.strerror(number)}")
            return b""
        return payload


def _link(index: int = 0, *, flags: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def _nested(kind: int, value: bytes) -> bytes:
    return _attribute(kind | 0x8000, value)  # NLA_F_NESTED


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))
