"""A channel that sshd connects to a Unix socket of its host: a kind that paramiko does not know."""

import threading
from typing import Any, cast

from paramiko import Channel, ChannelException, Message, SSHException, Transport
from paramiko.common import cMSG_CHANNEL_OPEN

KIND = "direct-streamlocal@openssh.com"  # section 2.4 of OpenSSH's PROTOCOL
CONNECT_FAILED = 2  # RFC 4254, 5.1

WINDOW_BYTES = 4 << 20  # what may be on its way to us: 80 MB/s at a delay of 50 ms
PACKET_BYTES = 1 << 15  # the largest that every SSH server takes


def open_streamlocal(transport: Transport, path: str, timeout_s: float) -> Channel:
    """Have sshd connect a channel to a Unix socket of the host.

    paramiko opens channels of the kinds that it knows, with what belongs to each; this is its own `open_channel` with
    the message of another kind.

    Raises:
        ChannelException: sshd does not.
        SSHException: the connection was lost.
    """
    inside = cast("Any", transport)
    with inside.lock:
        number = inside._next_channel()
        message = Message()
        message.add_byte(cMSG_CHANNEL_OPEN)
        message.add_string(KIND)
        for word in (number, WINDOW_BYTES, PACKET_BYTES):
            message.add_int(word)
        message.add_string(path)
        message.add_string("")  # reserved
        message.add_int(0)
        channel = cast("Any", Channel(number))
        inside._channels.put(number, channel)
        inside.channel_events[number] = opened = threading.Event()
        inside.channels_seen[number] = True
        channel._set_transport(transport)
        channel._set_window(WINDOW_BYTES, PACKET_BYTES)
    inside._send_user_message(message)
    if not opened.wait(timeout_s) or not transport.is_active():
        raise SSHException("no answer")
    if inside._channels.get(number) is None:
        transport.get_exception()  # said; the next one to ask must not take it for its own
        raise ChannelException(CONNECT_FAILED, "not forwarded")
    return cast("Channel", channel)
