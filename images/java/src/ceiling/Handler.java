package ceiling;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;

/** The one handler: what is done with each request. Shared by all threads; what it caches is replaced, never changed. */
final class Handler {
    private static final DateTimeFormatter DATE =
            DateTimeFormatter.ofPattern("EEE, dd MMM yyyy HH:mm:ss 'GMT'", Locale.ROOT).withZone(ZoneOffset.UTC);
    private static final Map<Integer, String> PHRASES = Map.of(
            400, "Bad Request",
            413, "Content Too Large",
            431, "Request Header Fields Too Large",
            501, "Not Implemented",
            505, "HTTP Version Not Supported");
    private static final String CLOSE = "Connection: close\r\n";
    private static final String KEEP = "Connection: keep-alive\r\n";

    /** The answers of one second: they differ by their Connection line only. */
    private record Ready(long second, String date, byte[] asUsual, byte[] close) {}

    private final boolean echoes;
    private final byte[] body;
    private volatile Ready ready;

    Handler(boolean echoes, int bodyBytes) {
        this.echoes = echoes;
        this.body = new byte[bodyBytes];
        Arrays.fill(body, (byte) 'x');
        ready = readyFor(System.currentTimeMillis() / 1000);
    }

    /** The whole answer. It may be one that others get as well: it is not to be changed. */
    byte[] answer(Request request) {
        boolean keepAlive = request.keepAlive;
        Ready now = ready;
        long second = System.currentTimeMillis() / 1000;
        if (second != now.second) {
            ready = now = readyFor(second);
        }
        if (!echoes && !request.isHead && !(keepAlive && request.isHttp10)) {
            return keepAlive ? now.asUsual : now.close;
        }
        // HTTP/1.1 keeps a connection and HTTP/1.0 closes it unless told otherwise.
        String connection = !keepAlive ? CLOSE : request.isHttp10 ? KEEP : "";
        byte[] content = echoes ? request.body : body;
        return assemble(now.date, content, connection, !request.isHead);
    }

    /** The answer to a request that cannot be served; the connection closes after it. */
    static byte[] refusal(RequestError error) {
        String phrase = PHRASES.get(error.status);
        String body = error.status + " " + phrase + ": " + error.getMessage() + "\n";
        String head = "HTTP/1.1 " + error.status + " " + phrase + "\r\nDate: " + DATE.format(Instant.now())
                + "\r\nContent-Type: text/plain\r\nContent-Length: " + body.length() + "\r\nConnection: close\r\n\r\n";
        return (head + body).getBytes(StandardCharsets.ISO_8859_1);
    }

    private Ready readyFor(long second) {
        String date = DATE.format(Instant.ofEpochSecond(second));
        if (echoes) {
            return new Ready(second, date, null, null);
        }
        return new Ready(second, date, assemble(date, body, "", true), assemble(date, body, CLOSE, true));
    }

    private static byte[] assemble(String date, byte[] content, String connection, boolean withContent) {
        byte[] head = ("HTTP/1.1 200 OK\r\nDate: " + date + "\r\nContent-Type: application/octet-stream\r\nContent-Length: "
                + content.length + "\r\n" + connection + "\r\n").getBytes(StandardCharsets.ISO_8859_1);
        if (!withContent) {
            return head;
        }
        byte[] whole = Arrays.copyOf(head, head.length + content.length);
        System.arraycopy(content, 0, whole, head.length, content.length);
        return whole;
    }
}
