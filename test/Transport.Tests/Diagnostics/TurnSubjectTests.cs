using System.Reflection;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Diagnostics;

/// <summary>Whatever may run the application's code can be named.</summary>
[OneMode]
public sealed class TurnSubjectTests
{
    // Of all connections at once; of one whose code has ended.
    private static readonly Type[] Nameless = [typeof(ConnectionSweep), typeof(LingeringSocket)];

    [Fact]
    public void Every_turn_of_the_transport_says_whom_it_serves()
    {
        Type[] turns =
        [
            .. typeof(NetpollTransportFactory).Assembly.GetTypes()
                .Where(static type => !type.IsAbstract && type.IsAssignableTo(typeof(Turn))),
        ];

        Assert.NotEmpty(turns);
        Assert.Equal(
            Nameless, turns.Where(static type => DeclaringTypeOfSubject(type) == typeof(Turn)).OrderBy(static type => type.Name));
    }

    private static Type? DeclaringTypeOfSubject(Type turn) =>
        turn.GetProperty(nameof(Turn.Subject), BindingFlags.Instance | BindingFlags.NonPublic)?.GetMethod?.DeclaringType;
}
