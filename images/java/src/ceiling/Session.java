package ceiling;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/**
 * One connection's conversation, without any I/O: what was received goes in, what is to be sent comes out. The ways of I/O bring
 * the bytes here and take the answers away, each in its own manner; that is all they differ in.
 */
final class Session {
    static final byte[] NOTHING = new byte[0];

    private static final byte[] CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1);
    // Answers to pipelined requests go out together, up to here: a client that pipelines must not fill our memory by reading
    // nothing, nor keep other connections of the same loop waiting.
    private static final int BATCH_REQUESTS = 64;
    private static final int BATCH_BYTES = 256 << 10;

    private final Parser parser = new Parser();
    private final Service service;

    /** Requests are waiting that were received with earlier ones: ask again with nothing before receiving more. */
    boolean isBehind;

    /** Nothing more will be answered: close once everything returned is sent. */
    boolean isClosing;

    /** The client may still be sending: let it read the last answer before the close resets the connection. */
    boolean isLingering;

    Session(Service service) {
        this.service = service;
        service.counts.connections.increment();
    }

    /** Take in what was received, and return what is now to be sent; nothing, if nothing is due. */
    byte[] receive(byte[] data, int size) {
        parser.feed(data, size);
        isBehind = false;
        try {
            Request request = parser.next();
            if (request != null && parser.isEmpty()) {
                return answer(request); // one request, and no more than that: the usual case
            }
            return answerBatch(request);
        } catch (RequestError error) {
            return refuse(error);
        }
    }

    private byte[] answerBatch(Request request) {
        ByteArrayOutputStream answers = new ByteArrayOutputStream();
        try {
            for (int number = 1; request != null; number++) {
                answers.writeBytes(answer(request));
                if (isClosing) {
                    break;
                }
                if (number >= BATCH_REQUESTS || answers.size() >= BATCH_BYTES) {
                    isBehind = !parser.isEmpty();
                    break;
                }
                request = parser.next();
            }
        } catch (RequestError error) {
            answers.writeBytes(refuse(error));
        }
        if (parser.wantsContinue()) {
            answers.writeBytes(CONTINUE);
        }
        return answers.size() == 0 ? NOTHING : answers.toByteArray();
    }

    private byte[] answer(Request request) {
        byte[] answer = service.handler.answer(request);
        service.counts.requests.increment();
        if (!request.keepAlive) {
            isClosing = true;
            isLingering = !parser.isEmpty();
        }
        return answer;
    }

    private byte[] refuse(RequestError error) {
        service.counts.badRequests.increment();
        isClosing = isLingering = true;
        return Handler.refusal(error);
    }
}
