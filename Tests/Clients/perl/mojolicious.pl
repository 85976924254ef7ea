use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Agent;
use Mojo::IOLoop;
use Mojo::UserAgent;

# Without this the agent is cut by its own library after 40 s without a byte.
my $client = Mojo::UserAgent->new(inactivity_timeout => 0);
$client->max_redirects(0);

sub again { Mojo::IOLoop->timer(0.5 => \&connect_once) }

sub connect_once {
    $client->websocket($Agent::url => {'X-Agent-Id' => $Agent::name} => sub {
        my ($client, $transaction) = @_;
        return again() unless $transaction->is_websocket;
        $transaction->max_websocket_size(2 ** 20);
        $transaction->on(message => sub {
            my ($transaction, $text) = @_;
            my $reply = Agent::answer($text);
            $transaction->send({text => $reply}) if defined $reply;
        });
        $transaction->on(finish => sub { print "closed $_[1]\n"; again() });
        $transaction->send({text => $Agent::registration});
    });
}

connect_once();
Mojo::IOLoop->start;
