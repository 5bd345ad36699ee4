package ceiling;

/** Which bytes may stand where in HTTP/1.1 (RFC 9112, 9110). */
final class Grammar {
    private static final boolean[] TOKEN = letters("!#$%&'*+-.^_`|~");
    private static final boolean[] HOST = letters("-._~!$&'()*+,;=:%[]");

    private Grammar() {}

    /** Part of a method, or of a field's name. */
    static boolean isToken(byte one) {
        return one > 0 && TOKEN[one];
    }

    /** Part of a host and its port. */
    static boolean isHost(byte one) {
        return one > 0 && HOST[one];
    }

    /** Part of a field's value: printable, a tab, or from outside of ASCII. */
    static boolean isValue(byte one) {
        return one < 0 || one == '\t' || (one >= ' ' && one < 127);
    }

    /** Part of a target: printable, and no space. */
    static boolean isTarget(byte one) {
        return one > ' ' && one < 127;
    }

    /**
     * What no head contains, however it goes on: a control character, an LF without its CR, a CR without its LF.
     * Such a head is refused without waiting for its end.
     */
    static boolean isBroken(byte before, byte one) {
        if ((one == '\n') != (before == '\r')) {
            return true;
        }
        return one >= 0 && one != '\t' && one != '\r' && one != '\n' && (one < ' ' || one == 127);
    }

    /** Where the CRLF is that ends the line at `at`, or -1 where it has not come yet. */
    static int endOfLine(byte[] data, int at, int end) throws RequestError {
        byte before = 0;
        for (int i = at; i < end; i++) {
            if (isBroken(before, data[i])) {
                throw new RequestError(400, "a line is malformed");
            }
            if (data[i] == '\n') {
                return i - 1;
            }
            before = data[i];
        }
        return -1;
    }

    private static boolean[] letters(String marks) {
        boolean[] known = new boolean[128];
        for (char one = 0; one < known.length; one++) {
            known[one] = one >= 'a' && one <= 'z' || one >= 'A' && one <= 'Z' || one >= '0' && one <= '9'
                    || marks.indexOf(one) >= 0;
        }
        return known;
    }
}
