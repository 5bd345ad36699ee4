package ceiling;

/** A request that cannot be served: the status to refuse it with, and why. The connection ends with it. */
final class RequestError extends Exception {
    private static final long serialVersionUID = 1L;
    final int status;

    RequestError(int status, String why) {
        super(why, null, false, false); // whoever sends nonsense does not make us walk the stack
        this.status = status;
    }
}
