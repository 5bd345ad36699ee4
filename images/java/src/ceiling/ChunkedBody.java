package ceiling;

import java.io.ByteArrayOutputStream;

/** A chunked request body, read piece by piece (RFC 9112, 7.1). */
final class ChunkedBody {
    private static final int TRAILERS_LIMIT_BYTES = 8 << 10;
    private static final int LINE_LIMIT_BYTES = 1024; // of a chunk's size and extensions

    private enum State { SIZE, DATA, END_OF_DATA, TRAILERS, DONE }

    final ByteArrayOutputStream body = new ByteArrayOutputStream();
    private State state = State.SIZE;
    private int left; // bytes of the chunk that are still to come
    private int total; // sizes of all chunks so far
    private int trailersBytes;

    boolean isDone() {
        return state == State.DONE;
    }

    /** Read on from `data[at]`; where reading stopped: at the body's end, or for want of bytes. */
    int take(byte[] data, int at, int end) throws RequestError {
        while (state != State.DONE) {
            int before = at;
            State was = state;
            at = switch (state) {
                case SIZE -> takeSize(data, at, end);
                case DATA -> takeData(data, at, end);
                case END_OF_DATA -> takeEndOfData(data, at, end);
                default -> takeTrailer(data, at, end);
            };
            if (at == before && state == was) {
                break;
            }
        }
        return at;
    }

    private int takeSize(byte[] data, int at, int end) throws RequestError {
        int line = Grammar.endOfLine(data, at, Math.min(end, at + LINE_LIMIT_BYTES));
        if (line < 0) {
            if (end - at >= LINE_LIMIT_BYTES) {
                throw noSize();
            }
            return at;
        }
        int digits = at;
        long size = 0;
        while (digits < line && Character.digit(data[digits], 16) >= 0 && digits - at < 17) {
            size = size << 4 | Character.digit(data[digits++], 16);
        }
        int rest = digits;
        while (rest < line && (data[rest] == ' ' || data[rest] == '\t')) {
            rest++;
        }
        if (digits == at || digits - at > 16 || rest < line && data[rest] != ';' || rest == line && rest > digits) {
            throw noSize();
        }
        if (size < 0 || size > Head.BODY_LIMIT_BYTES - total) {
            throw new RequestError(413, "the body is larger than " + Head.BODY_LIMIT_BYTES + " bytes");
        }
        left = (int) size;
        total += left;
        state = left == 0 ? State.TRAILERS : State.DATA;
        return line + 2;
    }

    private int takeData(byte[] data, int at, int end) {
        int piece = Math.min(left, end - at);
        body.write(data, at, piece);
        left -= piece;
        if (left == 0) {
            state = State.END_OF_DATA;
        }
        return at + piece;
    }

    private int takeEndOfData(byte[] data, int at, int end) throws RequestError {
        if (end > at && data[at] != '\r' || end > at + 1 && data[at + 1] != '\n') {
            throw new RequestError(400, "a chunk is longer than its size");
        }
        if (end < at + 2) {
            return at;
        }
        state = State.SIZE;
        return at + 2;
    }

    private int takeTrailer(byte[] data, int at, int end) throws RequestError {
        int line = Grammar.endOfLine(data, at, end);
        int size = (line < 0 ? end : line + 2) - at;
        if (trailersBytes + size > TRAILERS_LIMIT_BYTES) {
            throw new RequestError(431, "the trailer fields are larger than " + TRAILERS_LIMIT_BYTES + " bytes");
        }
        if (line < 0) {
            return at;
        }
        trailersBytes += size;
        if (line == at) {
            state = State.DONE;
            return line + 2;
        }
        int name = at;
        while (name < line && Grammar.isToken(data[name])) {
            name++;
        }
        if (name == at || data[name] != ':') {
            throw new RequestError(400, "the trailer fields are malformed");
        }
        return line + 2;
    }

    private static RequestError noSize() {
        return new RequestError(400, "a chunk does not begin with its size in hexadecimal digits");
    }
}
