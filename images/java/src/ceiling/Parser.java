package ceiling;

import java.io.ByteArrayOutputStream;

/**
 * An incremental parser of HTTP/1.1 requests: bytes in, whole requests out, no I/O. However a stream is cut into pieces, the
 * same requests come out, or the same refusal.
 */
final class Parser {
    private static final int SMALLEST_BYTES = 256;

    private byte[] buffer = Request.NO_BODY;
    private int at; // all before it is done with
    private int end;
    private int scanned; // up to here there is no end of a head: one that dribbles in is not searched anew
    private boolean expectsContinue;
    private Request request; // the one whose body is being read
    private int left; // bytes of its body that are still to come
    private ByteArrayOutputStream body;
    private ChunkedBody chunks;

    /** Take in what was received. It is copied: the caller may use its array again. */
    void feed(byte[] data, int size) {
        if (at == end) {
            at = end = scanned = 0;
        }
        if (buffer.length - end < size) {
            int kept = end - at;
            byte[] larger = kept + size <= buffer.length ? buffer : new byte[roomFor(kept + size)];
            System.arraycopy(buffer, at, larger, 0, kept);
            buffer = larger;
            scanned = Math.max(0, scanned - at);
            at = 0;
            end = kept;
        }
        System.arraycopy(data, 0, buffer, end, size);
        end += size;
    }

    /** Whether nothing is here that has not become a request. */
    boolean isEmpty() {
        return at == end;
    }

    /** The next whole request, or null while bytes are wanting. */
    Request next() throws RequestError {
        if (request != null) {
            return readBody();
        }
        int headEnd = findHead();
        if (headEnd < 0) {
            return null;
        }
        Head head = new Head(buffer, at, headEnd);
        at = scanned = headEnd;
        if (head.length == 0) {
            return head.request;
        }
        request = head.request;
        expectsContinue = head.expectsContinue;
        left = head.length;
        if (head.length == Head.CHUNKED) {
            chunks = new ChunkedBody();
        } else {
            body = new ByteArrayOutputStream(Math.min(left, 64 << 10));
        }
        return readBody();
    }

    /** Whether the client waits for `100 Continue` before it sends the body that is due. Says so once. */
    boolean wantsContinue() {
        boolean wanted = expectsContinue && request != null;
        expectsContinue = false;
        return wanted;
    }

    /** Where the head at hand ends, or -1: see that it can still become one. */
    private int findHead() throws RequestError {
        while (end - at >= 2 && buffer[at] == '\r' && buffer[at + 1] == '\n') {
            at += 2; // empty lines before a request (RFC 9112, 2.2)
        }
        for (int i = Math.max(at, scanned); i < end; i++) {
            if (i - at >= Head.LIMIT_BYTES) {
                throw new RequestError(431, "the head is larger than " + Head.LIMIT_BYTES + " bytes");
            }
            if (Grammar.isBroken(i > at ? buffer[i - 1] : 0, buffer[i])) {
                throw new RequestError(400, "the head is malformed");
            }
            if (buffer[i] == '\n' && i - at >= 3 && buffer[i - 2] == '\n') {
                return i + 1;
            }
        }
        scanned = end;
        return -1;
    }

    private Request readBody() throws RequestError {
        if (chunks != null) {
            at = chunks.take(buffer, at, end);
            if (!chunks.isDone()) {
                return null;
            }
            request.body = chunks.body.toByteArray();
            chunks = null;
        } else {
            int piece = Math.min(left, end - at);
            body.write(buffer, at, piece);
            at += piece;
            left -= piece;
            if (left > 0) {
                return null;
            }
            request.body = body.toByteArray();
            body = null;
        }
        scanned = at;
        Request whole = request;
        request = null;
        return whole;
    }

    private static int roomFor(int size) {
        return Math.max(SMALLEST_BYTES, Integer.highestOneBit(Math.max(1, size - 1)) << 1);
    }
}
