/*
 * How many commands a second hiredis sends over one connection:
 *
 *   hiredis-bench PORT get|set BYTES window|pipeline COUNT SECONDS
 *
 * `window` keeps COUNT commands in flight, and sends as many as a read has answered in one write; `pipeline` sends COUNT in one write and
 * waits for all of them. Prints the number of commands and the nanoseconds they took.
 */
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static volatile sig_atomic_t stopped;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static void fail(const char *what, redisContext *context) {
  fprintf(stderr, "hiredis-bench: %s: %s\n", what, context ? context->errstr : "no context");
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

struct load {
  redisContext *context;
  int arguments;
  const char *texts[3];
  size_t lengths[3];
  int is_window;
  int count;
};

static void append(struct load *load) {
  if (redisAppendCommandArgv(load->context, load->arguments, load->texts, load->lengths) != REDIS_OK) fail("append", load->context);
}

static void flush(struct load *load) {
  int done = 0;
  while (!done) {
    if (redisBufferWrite(load->context, &done) != REDIS_OK) fail("write", load->context);
  }
}

static void take(void *reply) {
  if (((redisReply *)reply)->type == REDIS_REPLY_ERROR) {
    fprintf(stderr, "hiredis-bench: %s\n", ((redisReply *)reply)->str);
    exit(1);
  }
  freeReplyObject(reply);
}

static int64_t window(struct load *load) {
  int64_t commands = 0;
  for (int i = 0; i < load->count; i++) append(load);
  for (int pending = load->count; pending > 0;) {
    flush(load);
    if (redisBufferRead(load->context) != REDIS_OK) fail("read", load->context);
    while (1) {
      void *reply = NULL;
      if (redisGetReplyFromReader(load->context, &reply) != REDIS_OK) fail("reply", load->context);
      if (!reply) break;
      take(reply);
      commands++;
      if (stopped) pending--; else append(load);
    }
  }
  return commands;
}

static int64_t pipeline(struct load *load) {
  int64_t commands = 0;
  while (!stopped) {
    for (int i = 0; i < load->count; i++) append(load);
    for (int i = 0; i < load->count; i++) {
      void *reply = NULL;
      if (redisGetReply(load->context, &reply) != REDIS_OK) fail("reply", load->context);
      take(reply);
      commands++;
    }
  }
  return commands;
}

static int64_t run(struct load *load, double seconds) {
  stopped = 0;
  struct itimerval timer = {.it_value = {(time_t)seconds, (suseconds_t)((seconds - (time_t)seconds) * 1e6)}};
  setitimer(ITIMER_REAL, &timer, NULL);
  return load->is_window ? window(load) : pipeline(load);
}

int main(int count, char **words) {
  if (count != 7) {
    fprintf(stderr, "usage: hiredis-bench PORT get|set BYTES window|pipeline COUNT SECONDS\n");
    return 2;
  }
  size_t bytes = (size_t)atol(words[3]);
  char *value = malloc(bytes);
  memset(value, 'x', bytes);
  struct load load = {
    .context = redisConnect("127.0.0.1", atoi(words[1])),
    .arguments = strcmp(words[2], "set") == 0 ? 3 : 2,
    .is_window = strcmp(words[4], "window") == 0,
    .count = atoi(words[5]),
  };
  load.texts[0] = load.arguments == 3 ? "SET" : "GET";
  load.texts[1] = "bench:value";
  load.texts[2] = value;
  load.lengths[0] = 3;
  load.lengths[1] = strlen(load.texts[1]);
  load.lengths[2] = bytes;
  if (!load.context || load.context->err) fail("connect", load.context);
  // Whoever has started this may block signals.
  sigset_t alarms;
  sigemptyset(&alarms);
  sigaddset(&alarms, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &alarms, NULL);
  signal(SIGALRM, stop);

  run(&load, 0.2);
  int64_t start = now();
  int64_t commands = run(&load, atof(words[6]));
  printf("%lld %lld\n", (long long)commands, (long long)(now() - start));
  redisFree(load.context);
  free(value);
  return 0;
}
