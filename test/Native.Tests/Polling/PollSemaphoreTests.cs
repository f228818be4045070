using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Polling;

/// <summary>Every operation in every state of <see cref="PollSemaphore"/>.</summary>
public sealed class PollSemaphoreTests
{
    // State before, operation → what it returns, state after. "waiter" stands for the parked waiter, "none" for no waiter.
    public static TheoryData<int, string, string, int> Table => new()
    {
        { PollSemaphore.Nil, "Reset", "", PollSemaphore.Nil },
        { PollSemaphore.Ready, "Reset", "", PollSemaphore.Nil },
        { PollSemaphore.Announced, "Reset", "", PollSemaphore.Nil },
        { PollSemaphore.Waiting, "Reset", "", PollSemaphore.Nil },

        { PollSemaphore.Nil, "TryAnnounce", "True", PollSemaphore.Announced },
        { PollSemaphore.Ready, "TryAnnounce", "False", PollSemaphore.Nil },
        { PollSemaphore.Announced, "TryAnnounce", "throws", PollSemaphore.Announced },
        { PollSemaphore.Waiting, "TryAnnounce", "throws", PollSemaphore.Waiting },

        { PollSemaphore.Nil, "TryCommit", "False", PollSemaphore.Nil },
        { PollSemaphore.Ready, "TryCommit", "False", PollSemaphore.Ready },
        { PollSemaphore.Announced, "TryCommit", "True", PollSemaphore.Waiting },
        { PollSemaphore.Waiting, "TryCommit", "False", PollSemaphore.Waiting },

        { PollSemaphore.Nil, "Withdraw", "", PollSemaphore.Nil },
        { PollSemaphore.Ready, "Withdraw", "", PollSemaphore.Ready },
        { PollSemaphore.Announced, "Withdraw", "", PollSemaphore.Nil },
        { PollSemaphore.Waiting, "Withdraw", "", PollSemaphore.Waiting },

        { PollSemaphore.Nil, "Collect", "False", PollSemaphore.Nil },
        { PollSemaphore.Ready, "Collect", "True", PollSemaphore.Nil },
        { PollSemaphore.Announced, "Collect", "False", PollSemaphore.Nil },
        { PollSemaphore.Waiting, "Collect", "False", PollSemaphore.Nil },

        { PollSemaphore.Nil, "Event", "none", PollSemaphore.Ready },
        { PollSemaphore.Ready, "Event", "none", PollSemaphore.Ready },
        { PollSemaphore.Announced, "Event", "none", PollSemaphore.Ready },
        { PollSemaphore.Waiting, "Event", "waiter", PollSemaphore.Ready },

        { PollSemaphore.Nil, "Cancel", "none", PollSemaphore.Nil },
        { PollSemaphore.Ready, "Cancel", "none", PollSemaphore.Ready },
        { PollSemaphore.Announced, "Cancel", "none", PollSemaphore.Nil },
        { PollSemaphore.Waiting, "Cancel", "waiter", PollSemaphore.Nil },
    };

    [Theory]
    [MemberData(nameof(Table))]
    public void The_table_holds(int before, string operation, string returned, int after)
    {
        CallbackTurn parked = new();
        PollSemaphore semaphore = InState(before, parked);
        Assert.Equal(before, semaphore.State);

        string Name(PollWaiter? waiter) => waiter is null ? "none" : ReferenceEquals(waiter, parked) ? "waiter" : "stranger";
        string result = "";
        switch (operation)
        {
            case "Reset":
                semaphore.Reset();
                break;
            case "TryAnnounce" when returned == "throws":
                // Not through a lambda, which cannot capture a struct by reference.
                try
                {
                    semaphore.TryAnnounce();
                }
                catch (InvalidOperationException)
                {
                    result = "throws";
                }

                break;
            case "TryAnnounce":
                result = $"{semaphore.TryAnnounce()}";
                break;
            case "TryCommit":
                result = $"{semaphore.TryCommit(parked)}";
                break;
            case "Withdraw":
                semaphore.Withdraw();
                break;
            case "Collect":
                result = $"{semaphore.Collect()}";
                break;
            default:
                result = Name(semaphore.Unblock(ready: operation == "Event"));
                break;
        }

        Assert.Equal(returned, result);
        Assert.Equal(after, semaphore.State);
    }

    [Fact]
    public void A_second_waiter_is_refused_and_the_first_stays_parked()
    {
        CallbackTurn first = new();
        PollSemaphore semaphore = InState(PollSemaphore.Waiting, first);
        try
        {
            semaphore.TryAnnounce();
            Assert.Fail("The second waiter was parked.");
        }
        catch (InvalidOperationException)
        {
        }

        Assert.Same(first, semaphore.Unblock(ready: true));
    }

    [Fact]
    public void Edges_collapse_into_one()
    {
        var semaphore = default(PollSemaphore);
        for (int i = 0; i < 3; i++)
        {
            Assert.Null(semaphore.Unblock(ready: true));
        }

        Assert.False(semaphore.TryAnnounce());
        Assert.True(semaphore.TryAnnounce());
    }

    [Fact]
    public void What_woke_a_waiter_is_told_apart()
    {
        CallbackTurn waiter = new();
        PollSemaphore semaphore = InState(PollSemaphore.Waiting, waiter);
        semaphore.Unblock(ready: true);
        Assert.True(semaphore.Collect());

        semaphore = InState(PollSemaphore.Waiting, waiter);
        semaphore.Unblock(ready: false);
        Assert.False(semaphore.Collect());

        // The edge that comes between a cancellation and the waiter's first step still counts.
        semaphore = InState(PollSemaphore.Waiting, waiter);
        semaphore.Unblock(ready: false);
        semaphore.Unblock(ready: true);
        Assert.True(semaphore.Collect());
    }

    private static PollSemaphore InState(int state, PollWaiter waiter)
    {
        var semaphore = default(PollSemaphore);
        if (state == PollSemaphore.Ready)
        {
            semaphore.Unblock(ready: true);
        }
        else if (state != PollSemaphore.Nil)
        {
            semaphore.TryAnnounce();
            if (state == PollSemaphore.Waiting)
            {
                semaphore.TryCommit(waiter);
            }
        }

        return semaphore;
    }
}
