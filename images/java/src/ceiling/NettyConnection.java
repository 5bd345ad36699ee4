package ceiling;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.channel.socket.SocketChannel;
import java.util.concurrent.TimeUnit;

/** One connection of a Netty loop. Everything here runs in that loop's thread. */
final class NettyConnection extends ChannelInboundHandlerAdapter {
    private static final int SEND_BYTES = 1 << 20; // at a time: Netty copies each piece out of the heap
    private static final int LOOK_MS = 20;
    private static final int LOOKS = 3; // at a client that sends on and on, once the server ends

    private final SocketChannel channel;
    private final Session session;
    private byte[] received = Session.NOTHING;
    private byte[] unsent = Session.NOTHING;
    private int sent;
    private boolean isSending;
    private boolean isInputOver;
    private boolean isLingering;
    private boolean hasReceived; // since the last look at the end
    private int looks;

    NettyConnection(Service service, SocketChannel channel) {
        this.channel = channel;
        this.session = new Session(service);
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        ByteBuf buffer = (ByteBuf) message;
        int size = buffer.readableBytes();
        if (received.length < size) {
            received = new byte[size];
        }
        buffer.readBytes(received, 0, size);
        buffer.release();
        hasReceived = true;
        if (isLingering || session.isClosing) {
            return;
        }
        send(session.receive(received, size));
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
        if (event instanceof ChannelInputShutdownEvent) { // the client has stopped sending; it may still read
            isInputOver = true;
            closeIfDone();
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        context.close(); // the client has gone: nobody is left to be told
    }

    /** The server ends: close as soon as nothing more comes and nothing more is to be sent. */
    void finish() {
        hasReceived = false;
        // In between the loop takes at least one turn, and reads whatever had come.
        channel.eventLoop().schedule(this::finishIfIdle, LOOK_MS, TimeUnit.MILLISECONDS);
    }

    private void finishIfIdle() {
        if (!channel.isOpen()) {
            return;
        }
        looks = isSending ? 0 : looks + 1;
        if (isSending || hasReceived && looks < LOOKS) {
            finish();
        } else {
            channel.close();
        }
    }

    /** Send it piece by piece; meanwhile nothing is read. */
    private void send(byte[] answer) {
        unsent = answer;
        sent = 0;
        sendOn();
    }

    private void sendOn() {
        while (true) {
            while (sent < unsent.length) {
                int size = Math.min(SEND_BYTES, unsent.length - sent);
                ChannelFuture piece = channel.writeAndFlush(Unpooled.wrappedBuffer(unsent, sent, size));
                sent += size;
                if (!piece.isDone()) {
                    isSending = true;
                    channel.config().setAutoRead(false);
                    piece.addListener(done -> goOn(done.isSuccess()));
                    return;
                }
            }
            if (!session.isBehind) {
                break;
            }
            unsent = session.receive(Session.NOTHING, 0);
            sent = 0;
        }
        unsent = Session.NOTHING;
        closeIfDone();
    }

    private void goOn(boolean isSent) {
        if (!isSent) {
            channel.close();
            return;
        }
        isSending = false;
        sendOn();
        if (!isSending) {
            channel.config().setAutoRead(true);
        }
    }

    private void closeIfDone() {
        if (isSending) {
            return;
        }
        if (isInputOver || session.isClosing && !session.isLingering) {
            channel.close();
        } else if (session.isLingering && !isLingering) {
            isLingering = true; // the client may stop sending before the close resets the connection (RFC 9112, 9.6)
            channel.shutdownOutput();
            channel.eventLoop().schedule(() -> channel.close(), Service.LINGER_MS, TimeUnit.MILLISECONDS);
        }
    }
}
