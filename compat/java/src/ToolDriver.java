import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs the main classes of Kafka's tools one after another in one JVM.
 *
 * <p>One JSON object a line on the standard input ({@code main, args, stdin, timeoutMs}), one a line on the standard
 * output ({@code code, out, err, hung}). A call of {@code Exit.exit} ends the tool, not the JVM; shutdown hooks that the
 * tool asked for run after it, because the console producer sends its last records in one.
 */
public final class ToolDriver {
    private static final int NOT_SET = Integer.MIN_VALUE;

    private static final class Exited extends Error {
        private static final long serialVersionUID = 1;

        Exited() {
            super("the tool exited", null, false, false);
        }
    }

    private ToolDriver() {}

    public static void main(String[] ignored) throws Exception {
        PrintStream answers = System.out;
        ObjectMapper json = new ObjectMapper();
        BufferedReader asks = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = asks.readLine(); line != null; line = asks.readLine()) {
            answers.println(json.writeValueAsString(run(json, json.readTree(line))));
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private static ObjectNode run(ObjectMapper json, JsonNode ask) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        PrintStream printOut = new PrintStream(out, true, StandardCharsets.UTF_8);
        PrintStream printErr = new PrintStream(err, true, StandardCharsets.UTF_8);
        AtomicInteger code = new AtomicInteger(NOT_SET);
        List<Runnable> hooks = new CopyOnWriteArrayList<>();
        Exit.setExitProcedure((status, message) -> {
            code.compareAndSet(NOT_SET, status);
            throw new Exited();
        });
        Exit.setHaltProcedure((status, message) -> {
            code.compareAndSet(NOT_SET, status);
            throw new Exited();
        });
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        System.setIn(new ByteArrayInputStream(ask.get("stdin").asText().getBytes(StandardCharsets.UTF_8)));
        System.setOut(printOut);
        System.setErr(printErr);

        String[] args = new String[ask.get("args").size()];
        for (int i = 0; i < args.length; i++) {
            args[i] = ask.get("args").get(i).asText();
        }
        Thread tool = new Thread(() -> call(ask.get("main").asText(), args, code, printErr, hooks), "tool");
        tool.setDaemon(true);
        tool.start();
        tool.join(ask.get("timeoutMs").asLong());
        boolean hung = tool.isAlive();
        if (hung) {
            for (StackTraceElement at : tool.getStackTrace()) {
                printErr.println("  hangs at " + at);
            }
        }
        printOut.flush();
        printErr.flush();
        code.compareAndSet(NOT_SET, 0);
        ObjectNode answer = json.createObjectNode();
        answer.put("code", code.get());
        answer.put("out", out.toString(StandardCharsets.UTF_8));
        answer.put("err", err.toString(StandardCharsets.UTF_8));
        answer.put("hung", hung);
        return answer;
    }

    private static void call(String main, String[] args, AtomicInteger code, PrintStream err, List<Runnable> hooks) {
        try {
            Method method = Class.forName(main).getMethod("main", String[].class);
            method.invoke(null, (Object) args);
        } catch (InvocationTargetException e) {
            if (!(e.getCause() instanceof Exited)) {
                code.compareAndSet(NOT_SET, 1);
                err.println("Exception in thread \"main\" " + e.getCause());
            }
        } catch (ReflectiveOperationException e) {
            code.compareAndSet(NOT_SET, 127);
            err.println("no such tool: " + e);
        }
        for (Runnable hook : hooks) {
            try {
                hook.run();
            } catch (Exited e) {
                // A hook may end the program again; it has ended.
            }
        }
    }
}
