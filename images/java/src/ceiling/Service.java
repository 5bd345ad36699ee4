package ceiling;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import sun.misc.Signal;

/** The life of the server: what it is told, signals, marks, exit report. The same for every way of I/O. */
final class Service {
    /** From the end's beginning until what is still unsent stays so; the contract allows 5 s for everything. */
    static final long FINISH_NS = 2_500_000_000L;

    /** How long a client that was refused may go on sending before its connection is closed. */
    static final int LINGER_MS = 1000;

    private static final int REST_MS = 100;

    final Handler handler;
    final Counts counts = new Counts();

    private final List<String> marks = new ArrayList<>();
    private final CountDownLatch toEnd = new CountDownLatch(1);
    private boolean isOver; // no mark is taken any more
    private volatile boolean isStopping;

    Service(Handler handler) {
        this.handler = handler;
        Signal.handle(new Signal("USR1"), signal -> takeMark());
        Signal.handle(new Signal("TERM"), signal -> stop());
        Signal.handle(new Signal("INT"), signal -> stop());
    }

    /** Whether SIGTERM or SIGINT has come. */
    boolean isStopping() {
        return isStopping;
    }

    /** Wait a little where descriptors, or threads, have run out; not any more when the end has begun. */
    void rest() {
        if (isStopping) {
            return;
        }
        try {
            Thread.sleep(REST_MS);
        } catch (InterruptedException never) {
            Thread.currentThread().interrupt();
        }
    }

    /** Sleep until it has. */
    void awaitStop() throws InterruptedException {
        toEnd.await();
    }

    /** Write the exit report, whole or not at all, and print it as one line. All connections have ended. */
    void report(Path out, String model, String program) throws IOException, InterruptedException {
        awaitMarks();
        String line;
        synchronized (this) {
            isOver = true;
            line = reportLine(model, program);
        }
        Path unfinished = out.resolve(".exit.json.part");
        Files.writeString(unfinished, line);
        Files.move(unfinished, out.resolve("exit.json"), StandardCopyOption.ATOMIC_MOVE);
        System.out.print(line);
        System.out.flush();
    }

    private String reportLine(String model, String program) {
        return "{\"contract\": 1, \"model\": \"" + model + "\", \"program\": \"" + program + "\", " + counts.mark()
                + ", \"marks\": [" + String.join(", ", marks) + "]}\n";
    }

    /**
     * The JVM begins a thread for each signal, in their order. On a busy core that of a mark may get to run later than that of
     * the end, and is waited for.
     */
    private static void awaitMarks() throws InterruptedException {
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getName().equals("SIGUSR1 handler")) {
                thread.join(FINISH_NS / 3_000_000);
            }
        }
    }

    private synchronized void takeMark() {
        if (!isOver) {
            marks.add("{" + counts.mark() + "}");
        }
    }

    private void stop() {
        isStopping = true;
        toEnd.countDown();
    }
}
