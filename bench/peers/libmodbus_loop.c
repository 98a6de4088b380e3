/* Reads REGISTERS holding registers per scan with libmodbus, one request of up to 125 after the other.
 *
 *   libmodbus_loop PORT REGISTERS SCANS      prints: values seconds cpu_seconds
 */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int registers = atoi(argv[2]), scans = atoi(argv[3]);
    modbus_t *bus = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    uint16_t *values = calloc((size_t)registers, sizeof *values);
    if (modbus_connect(bus)) return perror("connect"), 1;
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int scan = 0; scan < scans; scan++) {
        for (int at = 0; at < registers; at += 125) {
            int count = registers - at < 125 ? registers - at : 125;
            if (modbus_read_registers(bus, at, count, values + at) != count) return perror("read"), 1;
        }
    }
    printf("%ld %f %f\n", (long)registers * scans, seconds(CLOCK_MONOTONIC) - wall, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return values[registers - 1] == registers - 1 ? 0 : 1;
}
