package ceiling;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;

/** Reads what `server.py` has checked and passed on as system properties, and runs the server. */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws InterruptedException, IOException {
        Service service = new Service(new Handler("echo".equals(told("kind")), number("body_bytes")));
        Server server = server(service);
        try {
            server.start();
        } catch (IOException error) {
            System.err.println(told("model") + ": cannot listen on " + told("host") + ":" + told("port") + ": "
                    + error.getMessage() + "; stop what uses the port or choose another");
            System.exit(1);
        }
        service.awaitStop();
        server.end();
        String program = "OpenJDK " + System.getProperty("java.version") + ", " + server.builtOn();
        service.report(Path.of(told("out")), told("model"), program);
        Runtime.getRuntime().halt(0); // nothing is left to be done, and no thread to be waited for
    }

    private static Server server(Service service) throws IOException {
        InetSocketAddress address = new InetSocketAddress(InetAddress.getByName(told("host")), number("port"));
        int backlog = number("backlog");
        return switch (told("io")) {
            case "bio" -> new BioServer(service, address, backlog, 0);
            case "bio-pool" -> new BioServer(service, address, backlog, number("threads"));
            case "nio" -> new NioServer(service, address, backlog, number("loops"));
            case "netty" -> new NettyServer(service, address, backlog, number("loops"));
            default -> throw new IllegalArgumentException("io: " + told("io"));
        };
    }

    private static String told(String name) {
        return System.getProperty("ceiling." + name);
    }

    private static int number(String name) {
        return Integer.parseInt(told(name));
    }
}
