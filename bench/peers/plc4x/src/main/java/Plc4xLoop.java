import java.lang.management.ManagementFactory;
import org.apache.plc4x.java.api.PlcConnection;
import org.apache.plc4x.java.api.PlcDriverManager;
import org.apache.plc4x.java.api.messages.PlcReadRequest;
import org.apache.plc4x.java.api.messages.PlcReadResponse;

/**
 * Reads TAGS 16-bit tags per scan with PLC4X, decoded, on a warm virtual machine.
 *
 * <p>usage: Plc4xLoop PORT TAGS SCANS; prints: values seconds cpu_seconds of the second half of the scans
 */
public final class Plc4xLoop {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        int tags = Integer.parseInt(arguments[1]);
        int scans = Integer.parseInt(arguments[2]);
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        try (PlcConnection connection = PlcDriverManager.getDefault().getConnectionManager()
                .getConnection("modbus-tcp://127.0.0.1:" + port + "?request-timeout=5000")) {
            PlcReadRequest.Builder builder = connection.readRequestBuilder();
            for (int tag = 0; tag < tags; tag++) {
                builder.addTagAddress("t" + tag, "holding-register:" + (tag + 1) + ":UINT");
            }
            PlcReadRequest request = builder.build();
            long wall = 0;
            long cpu = 0;
            long sum = 0;
            for (int scan = 0; scan < 2 * scans; scan++) {
                if (scan == scans) {
                    wall = System.nanoTime();
                    cpu = system.getProcessCpuTime();
                }
                PlcReadResponse response = request.execute().get();
                sum += response.getInteger("t" + (tags - 1));
            }
            double seconds = (System.nanoTime() - wall) / 1e9;
            double cpuSeconds = (system.getProcessCpuTime() - cpu) / 1e9;
            if (sum != 2L * scans * (tags - 1)) {
                throw new IllegalStateException("wrong values");
            }
            System.out.println((long) tags * scans + " " + seconds + " " + cpuSeconds);
        }
        System.exit(0);
    }
}
