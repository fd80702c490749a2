import java.net.http.HttpClient;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.net.ssl.SSLContext;
import javax.xml.parsers.DocumentBuilderFactory;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;

/**
 * A real JVM around the stand-in of the vendor's client: it loads what a command-line program in Java loads before it does
 * anything (TLS, HTTP, an XML parser, expressions, lambdas), which takes about a second, and starts the stand-in then.
 */
public final class Client {
    public static void main(String[] args) throws Exception {
        SSLContext.getDefault().getSupportedSSLParameters();
        HttpClient.newHttpClient();
        String xml = IntStream.range(0, 400).mapToObj(n -> "<option n='" + n + "'>" + Integer.toHexString(n) + "</option>")
                .collect(Collectors.joining("", "<options>", "</options>"));
        long sum = 0;
        for (int round = 0; round < ROUNDS; round++) {
            DocumentBuilderFactory.newInstance().newDocumentBuilder()
                    .parse(new ByteArrayInputStream(xml.getBytes(StandardCharsets.UTF_8)));
            var matcher = Pattern.compile("n='(\\d+)'>([0-9a-f]+)<").matcher(xml);
            while (matcher.find()) {
                sum += Long.parseLong(matcher.group(1)) ^ Long.parseLong(matcher.group(2), 16);
            }
        }
        if (sum != 0) {
            throw new IllegalStateException("a number and its hexadecimal form differ");
        }
        List<String> command = new ArrayList<>(List.of(args));
        System.exit(new ProcessBuilder(command).inheritIO().start().waitFor());
    }

    private static final int ROUNDS = 30;
}
