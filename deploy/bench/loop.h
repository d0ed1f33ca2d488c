/* What both bench tools stand on: one clock, one timer, one growing buffer, sockets that never wait. */
#ifndef LOOP_H
#define LOOP_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/* A streamed token is "t", thirteen hexadecimal digits and a space: the microsecond (CLOCK_MONOTONIC, which all
 * processes of a machine share) at which it was due. So the reader knows each token's delay exactly. */
#define TOKEN_DIGITS 13
#define TOKEN_BYTES (1 + TOKEN_DIGITS + 1)

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(2);
}

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* epoll_wait counts in milliseconds; pacing needs better. Due 0 stops the timer, a past time fires at once. */
static inline void wake_at(int timer, uint64_t due) {
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)}};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL) < 0) die("timerfd_settime: %s", strerror(errno));
}

static inline int new_timer(void) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timer < 0) die("timerfd_create: %s", strerror(errno));
    return timer;
}

static inline void watch(int epoll, int operation, int fd, uint32_t events, void *what) {
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(epoll, operation, fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
}

static inline void send_at_once(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* As many files as we may have; no SIGPIPE; no life after the process that started us. */
static inline void settle_in(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

typedef struct {
    char *at;
    size_t length, room;
} Buffer;

/* Room for `more` bytes behind the content. */
static inline char *reserve(Buffer *b, size_t more) {
    if (b->length + more > b->room) {
        size_t room = b->room ? b->room : 1024;
        while (room < b->length + more) room *= 2;
        b->at = realloc(b->at, room);
        if (!b->at) die("out of memory");
        b->room = room;
    }
    return b->at + b->length;
}

static inline void append(Buffer *b, const void *bytes, size_t length) {
    memcpy(reserve(b, length), bytes, length);
    b->length += length;
}

static inline void drop_front(Buffer *b, size_t length) {
    memmove(b->at, b->at + length, b->length - length);
    b->length -= length;
}

/* The value of a header in a head that ends with an empty line, or NULL. */
static inline const char *header_value(const char *head, size_t length, const char *name) {
    size_t name_length = strlen(name);
    const char *line = head, *end = head + length;
    while ((line = memchr(line, '\n', (size_t)(end - line)))) {
        line++;
        if ((size_t)(end - line) > name_length && line[name_length] == ':' && !strncasecmp(line, name, name_length)) {
            line += name_length + 1;
            while (line < end && *line == ' ') line++;
            return line;
        }
    }
    return NULL;
}

#endif
