package ceiling;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadPoolExecutor;

/**
 * Blocking I/O: one thread accepts, and each connection has a thread that sleeps in read, and in write, until its client moves.
 *
 * <p>Who owns what:
 * <ul>
 *   <li>The accepting thread owns the listening socket. It hands each connection to a thread: a new one, or with a pool, the next
 *       that is free; until then the connection waits in the pool's queue, accepted and not served.
 *   <li>That thread owns the connection until it ends, and closes it.
 *   <li>At the end nobody can be woken from read but by ending the socket that is read from.
 * </ul>
 */
final class BioServer implements Server {
    private static final int RECEIVE_BYTES = 8 << 10; // of each thread, twice: Java's array, and the JVM's own buffer
    private static final int LOOK_MS = 10;

    /** A connection, and whether its thread is in read, or about to be. */
    private static final class Connection {
        final Socket socket;
        volatile boolean isReading;

        Connection(Socket socket) {
            this.socket = socket;
        }
    }

    private final Service service;
    private final InetSocketAddress address;
    private final int backlog;
    private final ThreadPoolExecutor pool; // null: a thread for each connection
    private final Set<Connection> living = ConcurrentHashMap.newKeySet();
    private final Set<Socket> queued = ConcurrentHashMap.newKeySet();
    private ServerSocket listener;

    BioServer(Service service, InetSocketAddress address, int backlog, int threads) {
        this.service = service;
        this.address = address;
        this.backlog = backlog;
        this.pool = threads == 0 ? null : (ThreadPoolExecutor) Executors.newFixedThreadPool(threads, this::counted);
    }

    @Override
    public void start() throws IOException {
        listener = new ServerSocket();
        listener.bind(address, backlog);
        if (pool != null) {
            pool.prestartAllCoreThreads();
        }
        Thread accepting = new Thread(this::accept, "accept");
        accepting.setDaemon(true);
        accepting.start();
    }

    @Override
    public String builtOn() {
        return "java.net";
    }

    private void accept() {
        while (!service.isStopping()) {
            try {
                Socket socket = listener.accept();
                service.counts.accepts.increment();
                socket.setTcpNoDelay(true);
                handOver(socket);
            } catch (IOException error) { // closed at the end, or no descriptor is to be had
                service.rest();
            }
        }
    }

    private void handOver(Socket socket) {
        queued.add(socket);
        try {
            if (pool == null) {
                counted(() -> serve(socket)).start();
            } else {
                pool.execute(() -> serve(socket));
            }
        } catch (OutOfMemoryError noThread) { // this client is turned away, the others are left to wait
            queued.remove(socket);
            closeQuietly(socket);
            service.rest();
        }
    }

    private Thread counted(Runnable life) {
        service.counts.threads.increment();
        Thread thread = new Thread(life);
        thread.setDaemon(true);
        return thread;
    }

    /** The whole life of a connection. */
    private void serve(Socket socket) {
        Connection connection = new Connection(socket);
        living.add(connection);
        if (queued.remove(socket)) { // else the end has come first
            try {
                converse(connection, new Session(service));
            } catch (IOException gone) {
                // nobody is left to be told
            }
        }
        closeQuietly(socket);
        living.remove(connection);
    }

    private void converse(Connection connection, Session session) throws IOException {
        InputStream in = connection.socket.getInputStream();
        OutputStream out = connection.socket.getOutputStream();
        byte[] received = new byte[RECEIVE_BYTES];
        int size;
        while (!session.isClosing && (size = receive(connection, in, received)) > 0) {
            out.write(session.receive(received, size));
            while (session.isBehind) {
                out.write(session.receive(received, 0));
            }
        }
        if (session.isLingering) {
            linger(connection.socket, in, received);
        }
    }

    private int receive(Connection connection, InputStream in, byte[] received) throws IOException {
        connection.isReading = true; // before the look: either we see the end, or it sees us
        int size = service.isStopping() && in.available() == 0 ? -1 : in.read(received);
        connection.isReading = false;
        return size;
    }

    /**
     * Let the client stop sending before the socket is closed. Closing one with unread data resets the connection, and a reset
     * destroys an answer that the client has not read yet (RFC 9112, 9.6).
     */
    private static void linger(Socket socket, InputStream in, byte[] received) throws IOException {
        socket.shutdownOutput();
        long until = System.nanoTime() + Service.LINGER_MS * 1_000_000L;
        long left;
        while ((left = (until - System.nanoTime()) / 1_000_000) > 0) {
            socket.setSoTimeout((int) left);
            if (in.read(received) < 0) {
                return;
            }
        }
    }

    @Override
    public void end() throws InterruptedException {
        closeQuietly(listener);
        long until = System.nanoTime() + Service.FINISH_NS;
        while (!(living.isEmpty() && queued.isEmpty()) && System.nanoTime() < until) {
            // With a pool, those that wait for a thread get one as soon as those that have one are done.
            for (Connection connection : living) {
                wakeIfIdle(connection);
            }
            Thread.sleep(LOOK_MS);
        }
        queued.forEach(socket -> {
            if (queued.remove(socket)) {
                closeQuietly(socket);
            }
        });
        living.forEach(connection -> closeQuietly(connection.socket));
        until += Service.FINISH_NS / 3;
        while (!living.isEmpty() && System.nanoTime() < until) {
            Thread.sleep(LOOK_MS);
        }
    }

    /** After shutdownInput Java gives nothing more, not even what has come: so only where nothing has. */
    private static void wakeIfIdle(Connection connection) {
        try {
            if (connection.isReading && connection.socket.getInputStream().available() == 0) {
                connection.socket.shutdownInput();
            }
        } catch (IOException closed) {
            // by its thread
        }
    }

    private static void closeQuietly(AutoCloseable one) {
        try {
            one.close();
        } catch (Exception closed) {
            // already
        }
    }
}
