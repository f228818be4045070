using System.Reflection;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>Each part can be left out by a switch of its name, and nothing else by it.</summary>
public sealed class EnginePartsTests : IDisposable
{
    private readonly List<string> _switches = [];

    public static TheoryData<string> Parts { get; } =
        [.. typeof(EngineParts).GetProperties(BindingFlags.Instance | BindingFlags.NonPublic)
            .Where(static property => property.PropertyType == typeof(bool)).Select(static property => property.Name)];

    public void Dispose()
    {
        // A switch cannot be taken away again.
        foreach (string name in _switches)
        {
            AppContext.SetSwitch(name, true);
        }
    }

    [Fact]
    public void Everything_is_there_unless_a_switch_says_otherwise() => Assert.Equal(new EngineParts(), EngineParts.FromSwitches());

    [Theory]
    [MemberData(nameof(Parts))]
    public void A_switch_leaves_out_the_part_of_its_name_only(string part)
    {
        SetSwitch(part, false);
        EngineParts parts = EngineParts.FromSwitches();
        Assert.Equal([part], Parts.Select(static row => row.Data).Where(name => !Get(parts, name)));
    }

    [Theory]
    [MemberData(nameof(Parts))]
    public void A_switch_that_is_on_changes_nothing(string part)
    {
        SetSwitch(part, true);
        Assert.Equal(new EngineParts(), EngineParts.FromSwitches());
    }

    /// <summary>More turns than a processor takes at a time, some of which block, from outside and from inside.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Whatever_is_left_out_every_turn_runs(bool everything)
    {
        EngineParts none = new()
        {
            IdleProcessors = false,
            LoadMeter = false,
            BusyPolling = false,
            MonitorPace = false,
            GatherMeter = false,
            Relays = false,
            Placement = false,
        };
        using var runtime = new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = 2, Name = "test", Parts = everything ? new EngineParts() : none });
        const int Turns = 300;
        using var all = new CountdownEvent(2 * Turns);
        for (int i = 0; i < Turns; i++)
        {
            runtime.Groups[0].Schedule(new RepeatedTurn(runtime.Groups[0], all, blocks: i % 50 == 0));
        }

        Assert.True(await Task.Run(() => all.Wait(TimeSpan.FromSeconds(30))));
    }

    private void SetSwitch(string part, bool isOn)
    {
        string name = EngineParts.SwitchPrefix + part;
        _switches.Add(name);
        AppContext.SetSwitch(name, isOn);
    }

    private static bool Get(EngineParts parts, string name) =>
        (bool)typeof(EngineParts).GetProperty(name, BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(parts)!;

    // Runs twice.
    private sealed class RepeatedTurn(WorkerGroup group, CountdownEvent all, bool blocks) : Turn
    {
        private bool _again;

        internal override void Run()
        {
            if (blocks)
            {
                Thread.Sleep(5);
            }

            all.Signal();
            if (!_again)
            {
                _again = true;
                group.Schedule(this);
            }
        }

        internal override void OnUnhandledException(Exception exception) => throw exception;
    }
}
