package ceiling;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.HashSet;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;

/** One event loop: a selector over all its connections, and one thread that serves them in turn. */
final class NioLoop implements Runnable {
    private static final int RECEIVE_BYTES = 64 << 10; // one buffer for all connections of the loop
    private static final int LOOK_MS = 10; // between looks at the time, while somebody lingers or the end has come

    final CountDownLatch ended = new CountDownLatch(1);

    private final Service service;
    private final Selector selector;
    private final Queue<SocketChannel> inbox = new ConcurrentLinkedQueue<>();
    private final ByteBuffer received = ByteBuffer.allocateDirect(RECEIVE_BYTES);
    private final byte[] bytes = new byte[RECEIVE_BYTES];
    private final Set<NioConnection> lingering = new HashSet<>();

    NioLoop(Service service) throws IOException {
        this.service = service;
        this.selector = Selector.open();
    }

    /** Of another thread: serve this connection from now on. */
    void take(SocketChannel channel) {
        inbox.add(channel);
        selector.wakeup();
    }

    /** Of another thread: look whether the end has come. */
    void wake() {
        selector.wakeup();
    }

    @Override
    public void run() {
        try {
            while (!service.isStopping()) {
                turn(lingering.isEmpty() ? 0 : LOOK_MS);
            }
            long until = System.nanoTime() + Service.FINISH_NS;
            while (System.nanoTime() < until && isAnybodyLeft()) {
                turn(LOOK_MS);
            }
            for (SelectionKey key : selector.keys()) {
                key.channel().close();
            }
        } catch (IOException error) {
            throw new IllegalStateException("a selector that does not select", error);
        } finally {
            ended.countDown();
        }
    }

    private void turn(long timeoutMs) throws IOException {
        selector.select(this::serve, timeoutMs);
        for (SocketChannel channel; (channel = inbox.poll()) != null; ) {
            SelectionKey key = channel.register(selector, SelectionKey.OP_READ);
            key.attach(new NioConnection(channel, key, new Session(service)));
        }
        lingering.removeIf(NioConnection::hasLingered);
    }

    private void serve(SelectionKey key) {
        NioConnection connection = (NioConnection) key.attachment();
        try {
            if (key.isWritable()) {
                connection.write();
            } else {
                read(connection);
            }
            if (connection.isLingering()) {
                lingering.add(connection);
            }
        } catch (IOException gone) { // nobody is left to be told
            connection.close();
        }
    }

    /** One read; whether anything came. */
    private boolean read(NioConnection connection) throws IOException {
        received.clear();
        int size = connection.receive(received);
        if (size > 0) {
            received.flip().get(bytes, 0, size);
            connection.answer(bytes, size);
        }
        return size > 0;
    }

    /** Whoever has sent nothing more and is sent nothing more is closed; whether others are left. */
    private boolean isAnybodyLeft() {
        boolean isLeft = !inbox.isEmpty();
        for (SelectionKey key : Set.copyOf(selector.keys())) {
            if (!key.isValid()) {
                continue;
            }
            NioConnection connection = (NioConnection) key.attachment();
            try {
                if (connection.isSending() || read(connection)) {
                    isLeft = true;
                } else {
                    connection.close();
                }
            } catch (IOException gone) {
                connection.close();
            }
        }
        return isLeft;
    }
}
