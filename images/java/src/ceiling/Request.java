package ceiling;

/** A request, as far as this server needs to know it. */
final class Request {
    static final byte[] NO_BODY = new byte[0];

    final boolean isHead;
    final boolean isHttp10;
    final boolean keepAlive;
    byte[] body = NO_BODY;

    Request(boolean isHead, boolean isHttp10, boolean keepAlive) {
        this.isHead = isHead;
        this.isHttp10 = isHttp10;
        this.keepAlive = keepAlive;
    }
}
