package ceiling;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The head of a request: what it says about the body and the connection. Strict, as the models in Python are: lines end in
 * CRLF, no white space before a colon, no folded lines, one Host, one length.
 */
final class Head {
    static final int LIMIT_BYTES = 64 << 10;
    static final int BODY_LIMIT_BYTES = 64 << 20;
    static final int CHUNKED = -1; // in place of a length

    private static final String[] FRAMING = {"connection", "content-length", "transfer-encoding", "expect"};

    private final byte[] data;
    private final int end;
    private int at;
    private int major;
    private int minor;
    private boolean isHead;
    private boolean hasHost;
    private final String[] fields = new String[FRAMING.length]; // those that change how a request is read

    /** Of the request: the length of its body, or CHUNKED. */
    int length;
    boolean expectsContinue;
    Request request;

    /** Read a whole head, from `at` up to and with its empty line. */
    Head(byte[] data, int at, int end) throws RequestError {
        this.data = data;
        this.at = at;
        this.end = end;
        readRequestLine();
        while (data[this.at] != '\r') {
            readField();
        }
        understand();
    }

    private void readRequestLine() throws RequestError {
        int begin = at;
        while (Grammar.isToken(data[at])) {
            at++;
        }
        isHead = at - begin == 4 && data[begin] == 'H' && data[begin + 1] == 'E' && data[begin + 2] == 'A'
                && data[begin + 3] == 'D';
        need(at > begin && data[at++] == ' ');
        begin = at;
        while (Grammar.isTarget(data[at])) {
            at++;
        }
        need(at > begin && data[at] == ' ' && end - at >= 13);
        need(new String(data, at + 1, 5, StandardCharsets.ISO_8859_1).equals("HTTP/"));
        major = digit(at + 6);
        need(data[at + 7] == '.');
        minor = digit(at + 8);
        need(data[at + 9] == '\r');
        at += 11;
    }

    private void readField() throws RequestError {
        int name = at;
        while (Grammar.isToken(data[at])) {
            at++;
        }
        int nameEnd = at;
        need(nameEnd > name && data[at++] == ':');
        int value = at;
        while (Grammar.isValue(data[at])) {
            at++;
        }
        need(data[at] == '\r');
        int valueEnd = at;
        at += 2;
        if (is("host", name, nameEnd)) {
            takeHost(value, valueEnd);
            return;
        }
        for (int i = 0; i < FRAMING.length; i++) {
            if (is(FRAMING[i], name, nameEnd)) {
                String said = new String(data, value, valueEnd - value, StandardCharsets.ISO_8859_1).strip();
                fields[i] = fields[i] == null ? said : fields[i] + "," + said; // RFC 9110, 5.2
            }
        }
    }

    private void takeHost(int value, int valueEnd) throws RequestError {
        need(!hasHost);
        hasHost = true;
        String said = new String(data, value, valueEnd - value, StandardCharsets.ISO_8859_1).strip();
        for (byte one : said.getBytes(StandardCharsets.ISO_8859_1)) {
            need(Grammar.isHost(one));
        }
    }

    private void understand() throws RequestError {
        if (major != 1) {
            throw new RequestError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
        }
        if (minor == 1 && !hasHost) {
            throw new RequestError(400, "an HTTP/1.1 request has a Host field");
        }
        boolean isHttp10 = minor == 0;
        List<String> connection = listed(fields[0]);
        boolean keepAlive = !connection.contains("close") && (!isHttp10 || connection.contains("keep-alive"));
        request = new Request(isHead, isHttp10, keepAlive);
        if (fields[2] != null) {
            if (fields[1] != null || isHttp10) {
                throw new RequestError(400, "Transfer-Encoding beside Content-Length, or in HTTP/1.0");
            }
            requireChunked(listed(fields[2]));
            length = CHUNKED;
        } else if (fields[1] != null) {
            length = contentLength(fields[1]);
        }
        expectsContinue = !isHttp10 && listed(fields[3]).contains("100-continue");
    }

    private static int contentLength(String said) throws RequestError {
        if (said.isEmpty() || !said.chars().allMatch(one -> one >= '0' && one <= '9')) {
            throw new RequestError(400, "Content-Length is not one number"); // two read as a list, even when they agree
        }
        String digits = said.replaceFirst("^0+", "");
        if (digits.length() > 18 || !digits.isEmpty() && Long.parseLong(digits) > BODY_LIMIT_BYTES) {
            throw new RequestError(413, "the body is larger than " + BODY_LIMIT_BYTES + " bytes");
        }
        return digits.isEmpty() ? 0 : Integer.parseInt(digits);
    }

    private static void requireChunked(List<String> codings) throws RequestError {
        if (codings.equals(List.of("chunked"))) {
            return;
        }
        if (codings.isEmpty() || codings.subList(0, codings.size() - 1).contains("chunked")) {
            throw new RequestError(400, "Transfer-Encoding must name chunked once, and last");
        }
        throw new RequestError(501, "of the transfer codings only chunked is understood");
    }

    /** The elements of a comma-separated list, in lower case; empty elements do not count. */
    private static List<String> listed(String value) {
        if (value == null) {
            return List.of();
        }
        List<String> found = new ArrayList<>();
        for (String part : value.toLowerCase(Locale.ROOT).split(",")) {
            if (!part.isBlank()) {
                found.add(part.strip());
            }
        }
        return found;
    }

    private boolean is(String lowerCase, int from, int to) {
        if (to - from != lowerCase.length()) {
            return false;
        }
        for (int i = from; i < to; i++) {
            if ((data[i] | 0x20) != lowerCase.charAt(i - from)) {
                return false;
            }
        }
        return true;
    }

    private int digit(int where) throws RequestError {
        need(data[where] >= '0' && data[where] <= '9');
        return data[where] - '0';
    }

    private static void need(boolean right) throws RequestError {
        if (!right) {
            throw new RequestError(400, "the head is malformed");
        }
    }
}
