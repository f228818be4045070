/*
 * Clients that ask for much and read little: each asks once for a long body and takes a small piece of it at fixed intervals, so that the server
 * always has more to send than it can. Prints a line when all have begun to receive, goes on until its standard input ends, and says what it got.
 *
 *   slowread --url 127.0.0.1:8080 [--path /download/100000000] [--connections 100] [--piece 4096] [--every 10]
 */
#define _GNU_SOURCE
#include "load.h"
#include <poll.h>

#define MAX_PIECE 65536
/* What the client's kernel takes without being asked for it is not slow. */
#define KERNEL_BUFFER 16384

int main(int argc, char **argv)
{
    const char *url = NULL, *path = "/download/100000000";
    int count = 100, every = 10;
    size_t piece = 4096;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--url")) url = value;
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--connections")) count = atoi(value);
        else if (!strcmp(name, "--piece")) piece = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--every")) every = atoi(value);
        else fail("unknown option: %s (see the head of this program's source)", name);
    }
    if (!url || count <= 0 || every <= 0 || piece == 0 || piece > MAX_PIECE)
        fail("--url is needed, a piece has at most %d bytes, and numbers must be positive", MAX_PIECE);

    char request[512], buffer[MAX_PIECE];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, url);
    if (length < 0 || (size_t)length >= sizeof request)
        fail("the path '%s' is too long", path);

    struct sockaddr_in address = parse_address(url);
    int *fds = calloc((size_t)count, sizeof *fds);
    if (!fds)
        fail("out of memory");
    for (int i = 0; i < count; i++) {
        int size = KERNEL_BUFFER;
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&address, sizeof address) < 0)
            fail("connect: %s", strerror(errno));
        if (send(fds[i], request, (size_t)length, MSG_NOSIGNAL) != length)
            fail("send: %s", strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        if (recv(fds[i], buffer, piece, 0) <= 0 || memcmp(buffer, "HTTP/1.1 200", 12) != 0)
            fail("an answer does not begin as it should");
    }
    printf("{\"reading\": %d}\n", count);
    fflush(stdout);

    uint64_t received = 0;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&input, 1, every) == 0) {
        for (int i = 0; i < count; i++) {
            ssize_t got = recv(fds[i], buffer, piece, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN))
                fail("a connection ended: %s", got < 0 ? strerror(errno) : "closed by the server");
            received += got > 0 ? (uint64_t)got : 0;
        }
    }
    printf("{\"bytes_received\": %" PRIu64 "}\n", received);
    return 0;
}
