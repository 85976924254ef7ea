/* What the C and C++ agents have in common: what they send, and what they print for the driver. The node's JSON has no spaces, so that
 * looking for a member's text is enough here. */
#ifndef AGENT_H
#define AGENT_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text of a member that is a string, as a new string; empty where it is absent. */
static inline char *agent_member(const char *message, const char *name) {
  char key[64];
  snprintf(key, sizeof key, "\"%s\":\"", name);
  const char *start = strstr(message, key);
  if (!start) return strdup("");
  start += strlen(key);
  return strndup(start, strcspn(start, "\""));
}

/* The first message of each connection, as a new string. */
static inline char *agent_registration(const char *name) {
  char *text = (char *)malloc(256);
  snprintf(text, 256, "{\"type\":\"register\",\"payload\":{\"capabilities\":[\"%s\"]}}", name);
  return text;
}

/* The message that answers a message, as a new string; NULL where there is nothing to say. */
static inline char *agent_answer(const char *message) {
  char *type = agent_member(message, "type"), *answer = NULL;
  if (!strcmp(type, "registered") || !strcmp(type, "error")) puts(!strcmp(type, "registered") ? type : message);
  if (!strcmp(type, "task")) {
    char *task = agent_member(message, "taskId"), *execution = agent_member(message, "executionId");
    char *echo = agent_member(message, "text");
    const char *bytes = strstr(message, "\"bytes\":");
    size_t count = bytes ? strtoul(bytes + 8, NULL, 10) : strlen(echo);
    answer = (char *)malloc(count + 512);
    int length = snprintf(
      answer, 512, "{\"type\":\"task_result\",\"payload\":{\"taskId\":\"%s\",\"executionId\":\"%s\",\"result\":{\"%s\":\"", task, execution,
      bytes ? "data" : "echo");
    if (bytes) memset(answer + length, 'x', count);
    else memcpy(answer + length, echo, count);
    strcpy(answer + length + count, "\"}}}");
    free(task), free(execution), free(echo);
  }
  free(type);
  fflush(stdout);
  return answer;
}

static inline void agent_closed(int code) {
  printf("closed %d\n", code);
  fflush(stdout);
}
#endif
