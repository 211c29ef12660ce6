/*
 * mongo-java-server for tests: listens on 127.0.0.1:PORT and keeps everything in memory.
 *     java -cp JARS Server PORT
 */
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

public final class Server {
    private Server() {
    }

    public static void main(String[] args) {
        MongoServer server = new MongoServer(new MemoryBackend());
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        server.bind("127.0.0.1", Integer.parseInt(args[0]));
    }
}
