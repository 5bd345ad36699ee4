package ceiling;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.util.Version;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.IOException;
import java.net.InetSocketAddress;

/**
 * Netty: a boss loop accepts, and each connection belongs to one of the worker loops until it ends. Its pipeline has one handler,
 * which brings the bytes to the session: Netty's own HTTP codec is left out, so that parsing is the same as with the others.
 */
final class NettyServer implements Server {
    private final Service service;
    private final InetSocketAddress address;
    private final int backlog;
    private final EventLoopGroup boss;
    private final EventLoopGroup workers;
    private final ChannelGroup living = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
    private Channel listener;

    NettyServer(Service service, InetSocketAddress address, int backlog, int loops) {
        this.service = service;
        this.address = address;
        this.backlog = backlog;
        this.boss = new NioEventLoopGroup(1, new DefaultThreadFactory("boss", true));
        this.workers = new NioEventLoopGroup(loops, new DefaultThreadFactory("worker", true));
        service.counts.threads.add(1 + loops);
    }

    @Override
    public void start() throws IOException {
        ServerBootstrap bootstrap = new ServerBootstrap()
                .group(boss, workers)
                .channel(NioServerSocketChannel.class)
                .option(ChannelOption.SO_BACKLOG, backlog)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childOption(ChannelOption.ALLOW_HALF_CLOSURE, true)
                .childHandler(new ChannelInitializer<SocketChannel>() {
                    @Override
                    protected void initChannel(SocketChannel channel) {
                        service.counts.accepts.increment();
                        living.add(channel);
                        channel.pipeline().addLast(new NettyConnection(service, channel));
                    }
                });
        try {
            listener = bootstrap.bind(address).sync().channel();
        } catch (InterruptedException error) {
            throw new IOException(error);
        } catch (Exception error) { // Netty throws whatever went wrong, IOException included, unannounced
            throw new IOException(error.getMessage(), error);
        }
    }

    @Override
    public String builtOn() {
        return "Netty " + Version.identify().get("netty-transport").artifactVersion();
    }

    @Override
    public void end() throws InterruptedException {
        listener.close().sync();
        for (Channel channel : living) {
            NettyConnection connection = channel.pipeline().get(NettyConnection.class);
            if (connection != null) {
                channel.eventLoop().execute(connection::finish);
            }
        }
        living.newCloseFuture().await(Service.FINISH_NS / 1_000_000);
        living.close().await(Service.FINISH_NS / 3_000_000);
    }
}
