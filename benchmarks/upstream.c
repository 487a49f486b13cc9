/* The scripted upstream of the benchmarks: `upstream TABLE [PORT]`; it prints its URL first.

   One thread, epoll, buffers made beforehand. TABLE is what benchmarks/scripts.py writes: for each
   script its head, its writes and how it ends. The last part of a request's model names the
   script. GET /counts tells what was done. It must limit nothing: no copy where the socket has
   room, no allocation per request once a connection is there. Bodies may be chunked. */

#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MOST_SCRIPTS = 64, NAME = 32, TURN = 512, GROWTH = 16384 };
enum end { KEEPS, STAYS_OPEN, CLOSES, RESETS };

struct piece {
    char *data;
    size_t size;
    unsigned events;
};

struct script {
    char name[NAME];
    int64_t delay_ns, pause_ns; /* before the head; between writes, 0 for the next turn */
    unsigned stamped;           /* writes with a time stamp, before the others */
    enum end end;
    int streamed;
    struct piece head;
    unsigned count;
    struct piece *writes;
};

struct connection {
    int fd;
    char *in; /* what was read and is not yet a whole request */
    size_t held, room;
    char *out; /* what the socket had no room for */
    size_t unsent, out_room;
    const struct script *script; /* NULL between requests */
    unsigned next;               /* writes done, stamped ones included */
    int64_t began, due;
    int place; /* in `timed` or `ready`, -1 for neither */
    int in_timed, asked, begun, gone, watches_out;
};

static struct script scripts[MOST_SCRIPTS];
static unsigned script_count;
static struct piece stamp; /* a stamped event; `events` is where its digits begin */
static int poller;
static struct {
    unsigned long connections, requests, streams, events, active, open;
} counts;

/* A heap by due time, and those that write in the next turn. */
static struct connection **timed, **ready;
static int timed_count, ready_count, list_room;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void *grown(void *at, size_t size) {
    void *found = realloc(at, size);
    if (!found) fail("memory");
    return found;
}

static int64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/* --- the table ------------------------------------------------------------------------------ */

static struct piece read_piece(FILE *from, size_t size, unsigned events) {
    struct piece piece = {grown(NULL, size + 1), size, events};
    if (fread(piece.data, 1, size, from) != size || fgetc(from) != '\n') fail("script table");
    return piece;
}

static void read_table(const char *path) {
    FILE *from = fopen(path, "rb");
    if (!from) fail(path);
    size_t size;
    if (fscanf(from, "stamp %zu %u", &size, &stamp.events) != 2) fail("script table");
    fgetc(from);
    stamp = read_piece(from, size, stamp.events);
    struct script *to = scripts;
    long long delay_us, pause_us;
    int end;
    while (script_count < MOST_SCRIPTS &&
           fscanf(from, "script %31s %lld %lld %u %d %d %u %zu", to->name, &delay_us, &pause_us,
                  &to->stamped, &end, &to->streamed, &to->count, &size) == 8) {
        fgetc(from);
        to->delay_ns = delay_us * 1000;
        to->pause_ns = pause_us * 1000;
        to->end = (enum end)end;
        to->head = read_piece(from, size, 0);
        to->writes = grown(NULL, sizeof *to->writes * (to->count + 1));
        for (unsigned i = 0; i < to->count; i++) {
            unsigned events;
            if (fscanf(from, "write %u %zu", &events, &size) != 2) fail("script table");
            fgetc(from);
            to->writes[i] = read_piece(from, size, events);
        }
        script_count++;
        to++;
    }
    fclose(from);
    if (!script_count) fail("script table");
}

static const struct script *named(const char *name, size_t size) {
    for (unsigned i = 0; i < script_count; i++)
        if (strlen(scripts[i].name) == size && !memcmp(scripts[i].name, name, size))
            return &scripts[i];
    return &scripts[0];
}

/* The script that the body's model names: its last letters and digits. */
static const struct script *asked_for(const char *body, size_t size) {
    const char *at = memmem(body, size, "\"model\"", 7);
    if (!at) return &scripts[0];
    const char *end = body + size, *from = memchr(at + 7, '"', (size_t)(end - at) - 7);
    if (!from) return &scripts[0];
    const char *to = memchr(from + 1, '"', (size_t)(end - from) - 1);
    if (!to) return &scripts[0];
    const char *name = to;
    while (name > from + 1 && (islower((unsigned char)name[-1]) || isdigit((unsigned char)name[-1])))
        name--;
    return named(name, (size_t)(to - name));
}

/* --- who writes when ------------------------------------------------------------------------ */

static void put(int place, struct connection *connection) {
    timed[place] = connection;
    connection->place = place;
}

static void sift(int place) {
    struct connection *moved = timed[place];
    while (place > 0 && timed[(place - 1) / 2]->due > moved->due) {
        put(place, timed[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        int child = 2 * place + 1;
        if (child >= timed_count) break;
        if (child + 1 < timed_count && timed[child + 1]->due < timed[child]->due) child++;
        if (timed[child]->due >= moved->due) break;
        put(place, timed[child]);
        place = child;
    }
    put(place, moved);
}

static void make_room(void) {
    if (timed_count + 1 < list_room && ready_count + 1 < list_room) return;
    list_room = list_room ? 2 * list_room : 1024;
    timed = grown(timed, sizeof *timed * (size_t)list_room);
    ready = grown(ready, sizeof *ready * (size_t)list_room);
}

static void write_at(struct connection *connection, int64_t due) {
    make_room();
    connection->due = due;
    connection->in_timed = due != 0;
    if (due) {
        put(timed_count++, connection);
        sift(timed_count - 1);
    } else {
        connection->place = ready_count;
        ready[ready_count++] = connection;
    }
}

static void never(struct connection *connection) {
    int place = connection->place;
    if (place < 0) return;
    connection->place = -1;
    if (connection->in_timed) {
        if (place != --timed_count) {
            put(place, timed[timed_count]);
            sift(place);
        }
    } else if (place != --ready_count) {
        ready[place] = ready[ready_count];
        ready[place]->place = place;
    }
}

/* --- a connection --------------------------------------------------------------------------- */

static void watch_out(struct connection *connection, int wanted) {
    if (connection->watches_out == wanted) return;
    connection->watches_out = wanted;
    struct epoll_event event = {EPOLLIN | (wanted ? EPOLLOUT : 0u), {.ptr = connection}};
    epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event);
}

static void drop(struct connection *connection, int reset) {
    if (connection->gone) return;
    never(connection);
    if (connection->script) counts.active--;
    counts.open--;
    connection->script = NULL;
    connection->gone = 1;
    struct linger linger = {1, 0};
    if (reset) setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(connection->fd);
}

static void discard(struct connection *connection) {
    free(connection->in);
    free(connection->out);
    free(connection);
}

/* Send, or keep what the socket has no room for. */
static void transmit(struct connection *connection, const char *data, size_t size) {
    if (!connection->unsent) {
        ssize_t sent = send(connection->fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            drop(connection, 0);
            return;
        }
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        }
        if (!size) return;
    }
    if (connection->unsent + size > connection->out_room) {
        connection->out_room = connection->unsent + size + GROWTH;
        connection->out = grown(connection->out, connection->out_room);
    }
    memcpy(connection->out + connection->unsent, data, size);
    connection->unsent += size;
    watch_out(connection, 1);
}

static void tell_counts(struct connection *connection) {
    char body[256], answer[512];
    int size = snprintf(body, sizeof body,
                        "{\"connections\":%lu,\"requests\":%lu,\"streams\":%lu,\"events\":%lu,"
                        "\"active\":%lu,\"open\":%lu}",
                        counts.connections, counts.requests, counts.streams, counts.events,
                        counts.active, counts.open);
    int all = snprintf(answer, sizeof answer,
                       "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                       "content-length: %d\r\n\r\n%s",
                       size, body);
    transmit(connection, answer, (size_t)all);
}

static void serve(struct connection *connection);

static void finish(struct connection *connection) {
    const struct script *script = connection->script;
    if (script->end == STAYS_OPEN) return; /* it counts as active until the other side leaves */
    connection->script = NULL;
    counts.active--;
    counts.streams += script->streamed && script->end == KEEPS;
    if (script->end != KEEPS)
        drop(connection, script->end == RESETS);
    else if (connection->held)
        serve(connection);
}

static void write_stamped(struct connection *connection) {
    char copy[2048], digits[24];
    memcpy(copy, stamp.data, stamp.size);
    snprintf(digits, sizeof digits, "%020lld", (long long)now_ns());
    memcpy(copy + stamp.events, digits, 20);
    counts.events++;
    transmit(connection, copy, stamp.size);
}

/* One step of a script: the head with the first write, or the next write. */
static void step(struct connection *connection) {
    const struct script *script = connection->script;
    unsigned total = script->count + script->stamped;
    if (!connection->begun) {
        connection->begun = 1;
        connection->began = now_ns();
        transmit(connection, script->head.data, script->head.size);
        if (connection->gone) return;
    }
    if (connection->next < script->stamped) {
        connection->next++;
        write_stamped(connection);
    } else if (connection->next < total) {
        const struct piece *piece = &script->writes[connection->next++ - script->stamped];
        counts.events += piece->events;
        transmit(connection, piece->data, piece->size);
    }
    if (connection->gone) return;
    if (connection->next >= total) {
        finish(connection);
        return;
    }
    if (connection->unsent) return; /* goes on when the socket has room */
    write_at(connection,
             script->pause_ns ? connection->began + script->pause_ns * connection->next : 0);
}

static void begin(struct connection *connection, const struct script *script) {
    counts.requests++;
    counts.active++;
    counts.connections += !connection->asked;
    connection->asked = 1;
    connection->script = script;
    connection->next = 0;
    connection->begun = 0;
    if (script->delay_ns)
        write_at(connection, now_ns() + script->delay_ns);
    else
        step(connection);
}

/* --- requests ------------------------------------------------------------------------------- */

static const char *field(const char *head, const char *end, const char *name) {
    size_t size = strlen(name);
    for (const char *line = memchr(head, '\n', (size_t)(end - head)); line && line + size < end;
         line = memchr(line + 1, '\n', (size_t)(end - line - 1)))
        if (!strncasecmp(line + 1, name, size)) {
            const char *value = line + 1 + size;
            while (*value == ' ') value++;
            return value;
        }
    return NULL;
}

/* The size of a chunked body with its end mark, 0 while it is not all there; the pieces are moved
   together, `body` bytes of them. */
static size_t chunked(char *from, size_t size, size_t *body) {
    size_t at = 0, to = 0;
    for (;;) {
        char *line = memmem(from + at, size - at, "\r\n", 2);
        if (!line) return 0;
        size_t piece = strtoul(from + at, NULL, 16);
        at = (size_t)(line - from) + 2;
        if (size - at < piece + 2) return 0;
        if (!piece) {
            *body = to;
            return at + 2;
        }
        at += piece + 2;
        to += piece;
    }
}

static void join(char *from, size_t size) {
    size_t at = 0, to = 0;
    while (at < size) {
        char *line = memmem(from + at, size - at, "\r\n", 2);
        size_t piece = strtoul(from + at, NULL, 16);
        if (!line || !piece) return;
        at = (size_t)(line - from) + 2;
        memmove(from + to, from + at, piece);
        at += piece + 2;
        to += piece;
    }
}

/* Serve the requests that are whole; not while a script plays. */
static void serve(struct connection *connection) {
    while (!connection->gone && !connection->script && connection->held) {
        char *head = connection->in;
        char *end = memmem(head, connection->held, "\r\n\r\n", 4);
        if (!end) return;
        size_t body = 0, taken = 0, start = (size_t)(end - head) + 4, held = connection->held;
        const char *length = field(head, end + 2, "content-length:");
        const char *coding = field(head, end + 2, "transfer-encoding:");
        if (coding && !strncasecmp(coding, "chunked", 7)) {
            taken = chunked(head + start, held - start, &body);
            if (!taken) return;
            join(head + start, taken);
        } else {
            taken = body = length ? strtoul(length, NULL, 10) : 0;
            if (held - start < taken) return;
        }
        int post = head[0] == 'P';
        const struct script *script = post ? asked_for(head + start, body) : NULL;
        connection->held = held - start - taken;
        memmove(head, head + start + taken, connection->held);
        if (script)
            begin(connection, script);
        else
            tell_counts(connection);
    }
}

static void readable(struct connection *connection) {
    for (;;) {
        if (connection->room - connection->held < GROWTH) {
            connection->room = 2 * connection->room + GROWTH;
            connection->in = grown(connection->in, connection->room);
        }
        size_t room = connection->room - connection->held;
        ssize_t got = recv(connection->fd, connection->in + connection->held, room, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            drop(connection, 0);
            return;
        }
        connection->held += (size_t)got;
        if ((size_t)got < room) break;
    }
    serve(connection);
}

static void writable(struct connection *connection) {
    ssize_t sent = send(connection->fd, connection->out, connection->unsent, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) drop(connection, 0);
        return;
    }
    connection->unsent -= (size_t)sent;
    memmove(connection->out, connection->out + sent, connection->unsent);
    if (connection->unsent) return;
    watch_out(connection, 0);
    if (connection->script && connection->place < 0 &&
        connection->next < connection->script->count + connection->script->stamped)
        write_at(connection, 0);
}

static void welcome(int listener) {
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct connection *connection = grown(NULL, sizeof *connection);
        memset(connection, 0, sizeof *connection);
        connection->fd = fd;
        connection->place = -1;
        counts.open++;
        struct epoll_event event = {EPOLLIN, {.ptr = connection}};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

/* --- the loop ------------------------------------------------------------------------------- */

static int listening(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 4096)) fail("listen");
    getsockname(listener, (struct sockaddr *)&at, &size);
    printf("http://127.0.0.1:%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return listener;
}

static void set_timer(int timer) {
    static int64_t armed;
    int64_t wanted = timed_count ? timed[0]->due : 0;
    if (wanted == armed) return;
    armed = wanted;
    struct itimerspec at = {.it_value = {wanted / 1000000000, wanted % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void take_turn(void) {
    int64_t now = now_ns();
    while (timed_count && timed[0]->due <= now) {
        struct connection *connection = timed[0];
        never(connection);
        step(connection);
        if (connection->gone) discard(connection);
    }
    /* Those that are ready now, from the end: what they add comes behind, in the next turn. */
    for (int place = ready_count - 1; place >= 0; place--) {
        struct connection *connection = ready[place];
        never(connection);
        step(connection);
        if (connection->gone) discard(connection);
    }
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    signal(SIGPIPE, SIG_IGN);
    read_table(argv[1]);
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = listening(argc > 2 ? atoi(argv[2]) : 0);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event for_listener = {EPOLLIN, {.ptr = &listener}};
    struct epoll_event for_timer = {EPOLLIN, {.ptr = &timer}};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &for_listener);
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &for_timer);
    struct epoll_event events[TURN];
    for (;;) {
        set_timer(timer);
        int count = epoll_wait(poller, events, TURN, ready_count ? 0 : -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            uint64_t ticks;
            if (events[i].data.ptr == &listener) {
                welcome(listener);
            } else if (events[i].data.ptr == &timer) {
                if (read(timer, &ticks, sizeof ticks) < 0) continue;
            } else {
                if (events[i].events & EPOLLOUT) writable(connection);
                if (!connection->gone && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                    readable(connection);
                if (connection->gone) discard(connection);
            }
        }
        take_turn();
    }
}
