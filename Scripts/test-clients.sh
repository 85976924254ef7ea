#!/usr/bin/env bash
# Runs the agents in Tests/Clients, one for each WebSocket library, against a node, and prints the matrix; about four minutes.
# Libraries come from PyPI, pinned, and from Debian's packages, which are installed where they are missing; what is built goes into
# .build/test-clients. The node has to be built: swift build --product parallaxd.
# Usage: Scripts/test-clients.sh [FOLDER OF parallaxd] [--idle SECONDS] [--only LIBRARY]…
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
clients=$PWD/.build/test-clients
sources=Tests/Clients
requirements=$sources/python/requirements.txt
packages=(
  golang-go golang-github-gorilla-websocket-dev golang-nhooyr-websocket-dev golang-golang-x-net-dev libanyevent-websocket-client-perl
  libmojolicious-perl ruby ruby-faye-websocket ruby-eventmachine gcc g++ pkg-config libc6-dev libwebsockets-dev libsoup-3.0-dev
  libboost1.74-dev libboost-system1.74-dev libwebsocketpp-dev libqt5websockets5-dev qt6-websockets-dev libpoco-dev default-jdk-headless
  libtomcat9-java lua5.1 lua-http lua-cjson tcl tcllib)
# Plain JavaScript, taken out of the packages without installing them: Debian's Node may stand in the way of another one.
scripts=(node-ws node-faye-websocket node-websocket-driver node-safe-buffer)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
Scripts/install-packages.sh "the agents in $sources" "${missing[@]}"

mkdir -p "$clients"
if ! cmp -s "$requirements" "$clients/venv/requirements.txt"; then
  python3 -m venv --clear "$clients/venv"
  "$clients/venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$clients/venv/requirements.txt"
fi
if [ ! -d "$clients/node" ]; then
  mkdir -p "$clients/node.new/packages"
  (cd "$clients/node.new/packages" && apt-get download -q -q "${scripts[@]}" 2>"$clients/apt.log")
  for file in "$clients"/node.new/packages/*.deb; do
    dpkg-deb -x "$file" "$clients/node.new"
    dpkg-deb -f "$file" Version >"$clients/$(dpkg-deb -f "$file" Package).version"
  done
  mv "$clients/node.new" "$clients/node"
fi

# build PROGRAM SOURCE COMMAND…: runs the command, which writes the program, where the program is older than its sources.
build() {
  local program=$clients/$1 folder
  folder=$(dirname "$sources/$2")
  shift 2
  if [ ! -e "$program" ] || [ -n "$(find "$folder" "$sources/c/agent.h" -newer "$program" -print -quit)" ]; then "$@"; fi
}
flags() { pkg-config --cflags --libs "$1"; }
go_build() {
  GO111MODULE=off GOPATH=$clients/go:/usr/share/gocode GOCACHE=$clients/go-cache go build -o "$clients/go-$1" "./$sources/go/$1"
}

mkdir -p "$clients/go/src" "$clients/java"
ln -sfn "$PWD/$sources/go/agent" "$clients/go/src/agent"
for library in gorilla nhooyr xnet; do build "go-$library" "go/$library/main.go" go_build "$library"; done
# shellcheck disable=SC2046 # one word per flag
{
  build libwebsockets c/libwebsockets.c gcc -O1 -o "$clients/libwebsockets" $sources/c/libwebsockets.c $(flags libwebsockets)
  build libsoup c/libsoup.c gcc -O1 -o "$clients/libsoup" $sources/c/libsoup.c $(flags libsoup-3.0)
  build qt5 cpp/qt.cpp g++ -fPIC -o "$clients/qt5" $sources/cpp/qt.cpp $(flags Qt5WebSockets)
  build qt6 cpp/qt.cpp g++ -std=c++17 -fPIC -o "$clients/qt6" $sources/cpp/qt.cpp $(flags Qt6WebSockets)
}
build beast cpp/beast.cpp g++ -o "$clients/beast" $sources/cpp/beast.cpp -pthread
build websocketpp cpp/websocketpp.cpp g++ -o "$clients/websocketpp" $sources/cpp/websocketpp.cpp -pthread
build poco cpp/poco.cpp g++ -o "$clients/poco" $sources/cpp/poco.cpp -lPocoNet -lPocoFoundation
build java/JDK.class java/JDK.java javac -d "$clients/java" -cp /usr/share/java/tomcat9-websocket-api.jar $sources/java/*.java

binaries=$PWD/.build/debug
if [ -n "${1:-}" ] && [ -d "$1" ]; then
  binaries=$1
  shift
fi
exec "$clients/venv/bin/python" Scripts/test_clients.py "$binaries" "$clients" "$@"
