/* A small Modbus TCP server that every client of the comparison reads: functions 3 and 4, any unit, registers that
 * hold their own address plus a scan counter. Answers all requests that arrived together in one write.
 *
 *   modbus_server PORT [DELAY_US]      DELAY_US: pause before each answer, to play a slow device
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLIENTS = 64, BUFFER = 1 << 16 };

struct client {
    int fd;
    size_t len;
    uint8_t in[BUFFER];
};

static struct client clients[CLIENTS];
static uint8_t out[BUFFER * 16];

/* Answers every whole request in the buffer; returns the bytes to send, or -1 when the peer speaks no Modbus. */
static long answer(struct client *c, long delay_us) {
    size_t at = 0, made = 0;
    while (c->len - at >= 12) {
        const uint8_t *q = c->in + at;
        size_t len = (size_t)(q[4] << 8 | q[5]);
        if (q[2] || q[3] || len != 6 || (q[7] != 3 && q[7] != 4)) return -1;
        unsigned address = (unsigned)(q[8] << 8 | q[9]), count = (unsigned)(q[10] << 8 | q[11]);
        if (count < 1 || count > 125 || made + 9 + 2 * count > sizeof out) return -1;
        uint8_t *a = out + made;
        memcpy(a, q, 4);
        a[4] = (uint8_t)((3 + 2 * count) >> 8);
        a[5] = (uint8_t)(3 + 2 * count);
        a[6] = q[6];
        a[7] = q[7];
        a[8] = (uint8_t)(2 * count);
        for (unsigned i = 0; i < count; i++) {
            a[9 + 2 * i] = (uint8_t)((address + i) >> 8);
            a[10 + 2 * i] = (uint8_t)(address + i);
        }
        made += 9 + 2 * count;
        at += 12;
        if (delay_us) usleep((useconds_t)delay_us);
    }
    memmove(c->in, c->in + at, c->len - at);
    c->len -= at;
    return (long)made;
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    long delay_us = argc > 2 ? atol(argv[2]) : 0;
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) return perror("listen"), 1;
    printf("listening\n");
    fflush(stdout);
    for (int i = 0; i < CLIENTS; i++) clients[i].fd = -1;
    for (;;) {
        struct pollfd fds[CLIENTS + 1];
        for (int i = 0; i < CLIENTS; i++) fds[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
        fds[CLIENTS] = (struct pollfd){.fd = listener, .events = POLLIN};
        if (poll(fds, CLIENTS + 1, -1) < 0) return perror("poll"), 1;
        for (int i = 0; i < CLIENTS; i++) {
            if (!fds[i].revents) continue;
            struct client *c = &clients[i];
            ssize_t got = read(c->fd, c->in + c->len, BUFFER - c->len);
            if (got > 0) c->len += (size_t)got;
            long made = got > 0 ? answer(c, delay_us) : -1;
            for (long sent = 0; made > 0 && sent < made;) {
                ssize_t n = write(c->fd, out + sent, (size_t)(made - sent));
                if (n <= 0) made = -1;
                else sent += n;
            }
            if (made < 0) close(c->fd), c->fd = -1;
        }
        if (fds[CLIENTS].revents) {
            int fd = accept(listener, NULL, NULL), placed = 0;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            for (int i = 0; i < CLIENTS && !placed; i++)
                if (clients[i].fd < 0) clients[i].fd = fd, clients[i].len = 0, placed = 1;
            if (!placed) close(fd);
        }
    }
}
