// Qt 5 and Qt 6.
#include "../c/agent.h"
#include <QCoreApplication>
#include <QNetworkRequest>
#include <QTimer>
#include <QWebSocket>

int main(int count, char **arguments) {
  QCoreApplication application(count, arguments);
  QNetworkRequest request{QUrl(arguments[1])};
  request.setRawHeader("X-Agent-Id", arguments[2]);
  QWebSocket socket;
  bool opened = false;
  auto say = [&](char *message) {
    if (message) socket.sendTextMessage(QString::fromUtf8(message));
    free(message);
  };
  QObject::connect(&socket, &QWebSocket::connected, [&] {
    opened = true;
    say(agent_registration(arguments[2]));
  });
  QObject::connect(&socket, &QWebSocket::textMessageReceived, [&](const QString &text) { say(agent_answer(text.toUtf8().constData())); });
  QObject::connect(&socket, &QWebSocket::disconnected, [&] {
    if (opened) agent_closed(socket.closeCode());
    opened = false;
    QTimer::singleShot(500, [&] { socket.open(request); });
  });
  socket.open(request);
  return application.exec();
}
