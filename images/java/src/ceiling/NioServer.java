package ceiling;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;

/**
 * Non-blocking I/O on the JDK's own selectors, main and sub: one thread accepts, and deals connections out to the loops in turn.
 *
 * <p>A loop owns its connections: only its thread reads, writes and closes them. What other threads want of it they put into its
 * inbox.
 */
final class NioServer implements Server {
    private final Service service;
    private final InetSocketAddress address;
    private final int backlog;
    private final NioLoop[] loops;
    private ServerSocketChannel listener;

    NioServer(Service service, InetSocketAddress address, int backlog, int loops) throws IOException {
        this.service = service;
        this.address = address;
        this.backlog = backlog;
        this.loops = new NioLoop[loops];
        for (int i = 0; i < loops; i++) {
            this.loops[i] = new NioLoop(service);
        }
    }

    @Override
    public void start() throws IOException {
        listener = ServerSocketChannel.open(); // a blocking one: its thread has nothing else to do
        listener.bind(address, backlog);
        for (NioLoop loop : loops) {
            startThread(loop, "loop");
        }
        startThread(this::accept, "accept");
    }

    @Override
    public String builtOn() {
        return "java.nio";
    }

    private void accept() {
        for (int next = 0; !service.isStopping(); next = (next + 1) % loops.length) {
            try {
                SocketChannel channel = listener.accept();
                service.counts.accepts.increment();
                channel.configureBlocking(false);
                channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
                loops[next].take(channel);
            } catch (IOException error) { // closed at the end, or no descriptor is to be had
                service.rest();
            }
        }
    }

    @Override
    public void end() throws InterruptedException {
        try {
            listener.close();
        } catch (IOException error) {
            // it is closed
        }
        for (NioLoop loop : loops) {
            loop.wake();
        }
        for (NioLoop loop : loops) {
            loop.ended.await();
        }
    }

    private void startThread(Runnable life, String name) {
        service.counts.threads.increment();
        Thread thread = new Thread(life, name);
        thread.setDaemon(true);
        thread.start();
    }
}
