"""A slot: one of the connections asked for, whichever socket serves it at the moment.

A slot carries one request at a time. If it has no connection, opening one is part of the request, which then counts
from the intended connect. Here a request is sent, stamped and recorded. Below it, one on the other: what is asked next
(`chooser`), the open socket (`connection`), how it came to be open (`opening`). They are one object, as a call more for
each answer would be felt. What the bytes mean is the session's to know (`protocols`), and when to send is the loop's.
"""

import time

from client.books import outcome
from client.books.records import Log, key_of
from client.protocols.base import Answer, ProtocolError
from client.wire.chooser import Chooser
from client.wire.shared import Shared
from client.wire.states import CLOSING, CONNECTING, IDLE, RESTING, SETTLING, WAITING

_FIRST_REST_S, _LONGEST_REST_S = 0.01, 0.5

_clock = time.monotonic_ns


class Slot(Chooser):
    """One connection's place in the load."""

    __slots__ = (
        "_announce",
        "_awaits_first_byte",
        "_failures",
        "_push",
        "_received",
        "_sent_ns",
        "free_since_ns",
        "intended_ns",
    )

    def __init__(self, number: int, shared: Shared) -> None:
        super().__init__(number, shared)
        self._push = shared.accounts.requests.push
        self._announce = shared.ready
        self._awaits_first_byte = False
        self._received = 0
        self._sent_ns = 0
        self.intended_ns = 0
        self._failures = 0  # in a row
        self.free_since_ns = 0  # for whoever keeps the free ones

    def record_in(self, log: Log) -> None:
        """Leave the records of its requests there from now on; at first they go to those of the load."""
        self._push = log.push

    def launch(self, intended_ns: int, now_ns: int) -> None:
        """Carry out a request; the slot must be idle.

        Args:
            intended_ns: when it should have been sent.
            now_ns: a clock value as fresh as the caller has it: the actual send time.
        """
        self.intended_ns = intended_ns
        if self._draws is not None:
            self._choose(self._draws)
        if self._socket is None:
            self._sent_ns = 0
            self._connect(now_ns)
            return
        if self._varies:
            self._encode()
        self.state = WAITING
        self._sent_ns = now_ns
        self._fast = not self._last
        self._write()

    def expire(self, now_ns: int) -> None:
        """Its deadline has passed."""
        if self.state == SETTLING:  # it had its answer in time, and the hand-over takes but a turn of the loop
            return
        if self.state == CLOSING:  # it had its answer in time; only the server's close did not come
            unclosed = self._shared.accounts.unclosed
            unclosed.push(self.intended_ns)
            unclosed.push(now_ns)
            self._disconnect()
            self._become_idle(now_ns)
        else:
            self._fail(outcome.CONNECT_TIMEOUT if self.state == CONNECTING else outcome.TIMEOUT, now_ns)

    def _opened(self, began_ns: int) -> None:
        """Send the request that the connection was opened for."""
        now = _clock()
        self._shared.accounts.connects.push(self.intended_ns, now - began_ns)
        self._awaits_first_byte = True
        self._watch()
        self._encode_first()
        self.state = WAITING
        self._sent_ns = now
        self._fast = False  # of the first answer the first byte is stamped
        self._write()

    def data_received(self, data: bytes) -> None:
        """The hot path: a plain answer, whole in one read, to the one request that is out."""
        now = _clock()
        if self._fast and (data == self._exchange.last_answer or self._exchange.is_right(data)):
            push = self._push
            push(self.intended_ns)
            push(self._sent_ns)
            push(now)
            push(self._key + len(data))
            if self._again:  # as `launch` would, without the calls
                self.intended_ns = self._sent_ns = now
                try:
                    written = self._send(self._request)
                except OSError as error:
                    self._unsendable(error)
                    return
                if written != self._request_length:
                    self._write_rest_later(written)
                return
            self._fast = False
            self.state = IDLE
            self._announce(self, now)
            return
        self._read(data, now)

    def _read(self, data: bytes, now_ns: int) -> None:
        """Everything else that a read can bring."""
        if self._session.skips(data):
            return
        if self.state != WAITING:
            self._unasked(data, now_ns)
            return
        if self._awaits_first_byte:
            self._awaits_first_byte = False
            self._shared.accounts.first_bytes.push(self.intended_ns, now_ns - self.intended_ns)
        self._fast = False
        self._received += len(data)
        try:
            answer = self._session.parse(data)
        except ProtocolError as error:
            self._fail(error.ending, now_ns)
            return
        if answer is not None:
            self._answered(answer, now_ns)

    def _unasked(self, data: bytes, now_ns: int) -> None:
        """Bytes that no request asked for: of a server that takes its leave, or the end of the connection."""
        try:
            over = self.state != CLOSING or self._session.parted(data)
        except ProtocolError:
            over = True
        if over:
            self._broken(outcome.CLOSED, now_ns)

    def _answered(self, answer: Answer, now_ns: int) -> None:
        """A whole answer is in, right or wrong."""
        self._record(answer.ending, now_ns)
        self._failures = 0
        made = self._socket
        if made is None or not answer.reusable or not self._all_written():
            self.state = CLOSING  # there is nothing more to say; the server closes
            return
        if self._last:
            self._part(now_ns)
            return
        if not self.held:
            self.held = True
            self._shared.held += 1
        if self._transport is None:
            self._settle(made)
        else:
            self._become_idle(now_ns)

    def _part(self, now_ns: int) -> None:
        """Give the connection up as the protocol has it; where it can, the server closes first, and waits after that."""
        self.state = CLOSING
        farewell = self._session.farewell()
        try:
            parted = not farewell or self._send(farewell) == len(farewell)
        except OSError:
            parted = False
        if not parted:
            self._broken(outcome.CLOSED, now_ns)

    def _settled(self) -> None:
        self._become_idle(_clock())

    def _broken(self, ending: int, now_ns: int) -> None:
        """The connection is of no further use: it ended, failed, or brought what nobody asked for."""
        if self.state == WAITING and ending == outcome.CLOSED:
            answer = self._session.end()
            if answer is not None:
                self._answered(answer, now_ns)
        if self.state == WAITING:
            self._fail(ending, now_ns)
            return
        owes_notice = self.state in (SETTLING, CLOSING)
        if self.state in (IDLE, SETTLING) and self._socket is not None:
            self._lost(now_ns)
        self._disconnect()
        if owes_notice:
            self._become_idle(now_ns)

    def _fail(self, ending: int, now_ns: int) -> None:
        """Its request ends in an error, and the connection with it; take the next one up at once, or after a rest."""
        if ending == outcome.CONNECT_TIMEOUT and self.state != CONNECTING:
            ending = outcome.TIMEOUT  # the kernel's own patience with an open connection ran out
        accounts = self._shared.accounts
        in_use = not self._awaits_first_byte  # the queue of a server that dies takes connects, too, and resets them
        if self.state == CONNECTING:
            accounts.connects.miss(self.intended_ns)
        if self.state == CONNECTING or self._awaits_first_byte:
            accounts.first_bytes.miss(self.intended_ns)
            self._awaits_first_byte = False
        if self.state == WAITING and in_use and ending in (outcome.CLOSED, outcome.RESET):
            self._lost(now_ns)
        self._record(ending, now_ns)
        self._disconnect()
        self._failures += 1
        if self._failures == 1:
            self._become_idle(now_ns)
            return
        self.state = RESTING  # a dead server is not hammered with connects
        rest_s = min(_FIRST_REST_S * 2 ** min(self._failures - 2, 16), _LONGEST_REST_S)
        self._shared.loop.call_later(rest_s, self._rested)

    def _lost(self, now_ns: int) -> None:
        """The server has ended a connection that was to be kept."""
        if not self._last:
            self._shared.accounts.lost.push(now_ns)

    def _rested(self) -> None:
        self._become_idle(_clock())

    def _become_idle(self, now_ns: int) -> None:
        self.state = IDLE
        self._announce(self, now_ns)

    def _record(self, ending: int, now_ns: int) -> None:
        push = self._push
        push(self.intended_ns)
        push(self._sent_ns)
        push(now_ns)
        push(key_of(self._number, ending, self._kind) + self._received)
        self._shared.accounts.failed += ending != outcome.OK
        self._received = 0
