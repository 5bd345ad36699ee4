package ceiling;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;

/**
 * One connection of a loop. It waits either for bytes to come or for room to send, never for both: a client that reads nothing is
 * read nothing from.
 */
final class NioConnection {
    private static final int SEND_BYTES = 128 << 10; // at a time: the JDK copies each piece into a buffer of its own

    private final SocketChannel channel;
    private final SelectionKey key;
    private final Session session;
    private ByteBuffer unsent = ByteBuffer.wrap(Session.NOTHING);
    private long lingerUntilNs; // 0: it does not

    NioConnection(SocketChannel channel, SelectionKey key, Session session) {
        this.channel = channel;
        this.key = key;
        this.session = session;
    }

    boolean isSending() {
        return unsent.hasRemaining();
    }

    boolean isLingering() {
        return lingerUntilNs != 0 && channel.isOpen();
    }

    /** Close it once the client has had its time; whether it is closed. */
    boolean hasLingered() {
        if (channel.isOpen() && System.nanoTime() - lingerUntilNs > 0) {
            close();
        }
        return !channel.isOpen();
    }

    /** Receive what is there; how many bytes are to be answered. At the end of the stream the connection is closed. */
    int receive(ByteBuffer into) throws IOException {
        int size = channel.read(into);
        if (size < 0) {
            close();
        }
        return lingerUntilNs == 0 ? size : 0;
    }

    /** Answer what was received. */
    void answer(byte[] data, int size) throws IOException {
        unsent = ByteBuffer.wrap(session.receive(data, size));
        write();
    }

    /** Send on, and go on with what waits behind, as far as the client takes it. */
    void write() throws IOException {
        while (send()) {
            if (!session.isBehind) {
                finish();
                return;
            }
            unsent = ByteBuffer.wrap(session.receive(Session.NOTHING, 0));
        }
        key.interestOps(SelectionKey.OP_WRITE);
    }

    void close() {
        try {
            channel.close();
        } catch (IOException error) {
            // it is closed
        }
    }

    /** Whether all of it is sent. */
    private boolean send() throws IOException {
        while (unsent.hasRemaining()) {
            ByteBuffer piece = unsent.slice(unsent.position(), Math.min(SEND_BYTES, unsent.remaining()));
            int sent = channel.write(piece);
            unsent.position(unsent.position() + sent);
            if (piece.hasRemaining()) {
                return false;
            }
        }
        return true;
    }

    private void finish() throws IOException {
        key.interestOps(SelectionKey.OP_READ);
        if (session.isLingering) {
            channel.shutdownOutput(); // the client may stop sending before the close resets the connection (RFC 9112, 9.6)
            lingerUntilNs = System.nanoTime() + Service.LINGER_MS * 1_000_000L;
        } else if (session.isClosing) {
            close();
        }
    }
}
