use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Agent;
use AnyEvent;
use AnyEvent::WebSocket::Client;

my ($timer, $connection);

sub again { $timer = AnyEvent->timer(after => 0.5, cb => \&connect_once) }

sub connect_once {
    my $client = AnyEvent::WebSocket::Client->new(http_headers => {'X-Agent-Id' => $Agent::name});
    $client->connect($Agent::url)->cb(sub {
        $connection = eval { shift->recv } or return again();
        $connection->on(each_message => sub {
            my ($connection, $message) = @_;
            my $reply = Agent::answer($message->body);
            $connection->send($reply) if defined $reply;
        });
        $connection->on(finish => sub { print 'closed ', $_[0]->close_code // 'none', "\n"; again() });
        $connection->send($Agent::registration);
    });
}

connect_once();
AnyEvent->condvar->recv;
