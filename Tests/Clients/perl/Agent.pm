# What the Perl agents have in common: what they send, and what they print for the driver.
package Agent;
use strict;
use warnings;
use JSON::PP qw(decode_json encode_json);

our ($url, $name) = @ARGV;
our $registration = encode_json({type => 'register', payload => {capabilities => [$name]}});
$| = 1;

sub answer {
    my $message = decode_json(shift);
    print "registered\n" if $message->{type} eq 'registered';
    print "error $message->{payload}{message}\n" if $message->{type} eq 'error';
    return unless $message->{type} eq 'task';
    my ($task, $input) = ($message->{payload}, $message->{payload}{input});
    my $result = exists $input->{bytes} ? {data => 'x' x $input->{bytes}} : {echo => $input->{text}};
    return encode_json({type => 'task_result', payload => {taskId => $task->{taskId}, executionId => $task->{executionId}, result => $result}});
}

1;
