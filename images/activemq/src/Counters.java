import java.lang.instrument.Instrumentation;
import java.lang.management.ManagementFactory;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Hashtable;
import javax.management.JMException;
import javax.management.MBeanServer;
import javax.management.ObjectName;

/**
 * An agent in the broker's JVM: whoever connects to its Unix socket is told ActiveMQ's own counters, read from its MBeans. Over JMX
 * itself each look would take a JVM of its own, on the core that is measured.
 */
public final class Counters {
    private static final String BROKER = "org.apache.activemq:type=Broker,brokerName=main";

    private Counters() {}

    /** Called by the JVM before the broker's `main`; `path` is where to listen. */
    public static void premain(String path, Instrumentation unused) throws Exception {
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(UnixDomainSocketAddress.of(Path.of(path)));
        Thread thread = new Thread(() -> answer(listener), "counters");
        thread.setDaemon(true);
        thread.start();
    }

    private static void answer(ServerSocketChannel listener) {
        while (true) {
            try (SocketChannel asking = listener.accept()) {
                asking.write(ByteBuffer.wrap(counts().getBytes(StandardCharsets.UTF_8)));
            } catch (Exception error) {
                // who asks sees an empty answer: the broker is not there yet, or not any more
            }
        }
    }

    private static String counts() throws JMException {
        MBeanServer beans = ManagementFactory.getPlatformMBeanServer();
        ObjectName broker = new ObjectName(BROKER);
        Object connections = beans.getAttribute(broker, "TotalConnectionsCount");
        Object version = beans.getAttribute(broker, "BrokerVersion");
        return "{\"requests\": " + messages(beans) + ", \"connections\": " + connections + ", \"version\": \"" + version + "\"}\n";
    }

    /** What queues and topics have taken from clients; the broker's own messages about itself (advisories) do not count. */
    private static long messages(MBeanServer beans) throws JMException {
        long sum = 0;
        for (ObjectName each : beans.queryNames(new ObjectName(BROKER + ",destinationType=*,destinationName=*"), null)) {
            Hashtable<String, String> keys = each.getKeyPropertyList();
            if (!keys.get("destinationName").startsWith("ActiveMQ.Advisory")) {
                sum += (Long) beans.getAttribute(each, "EnqueueCount");
            }
        }
        return sum;
    }
}
