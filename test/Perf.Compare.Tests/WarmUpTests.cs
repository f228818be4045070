using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Running;
using KestrelNetpoll.Perf.Compare.Scenarios;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class WarmUpTests
{
    [Fact]
    public void One_pass_never_suffices()
    {
        Assert.Equal("netpoll has had one pass", WhatIsLeft(("netpoll", 100, 0)));
    }

    [Fact]
    public void A_rate_that_rises_wants_another_pass()
    {
        Assert.Equal("the rate of netpoll was still rising", WhatIsLeft(("netpoll", 100, 0), ("netpoll", 104, 0)));
        Assert.Null(WhatIsLeft(("netpoll", 100, 0), ("netpoll", 104, 0), ("netpoll", 102, 0)));
    }

    [Fact]
    public void Every_leg_has_to_be_warm()
    {
        Assert.Equal(
            "the rate of sockets was still rising",
            WhatIsLeft(("netpoll", 100, 0), ("netpoll", 100, 0), ("sockets", 50, 0), ("sockets", 100, 0)));
    }

    [Fact]
    public void Code_that_is_still_compiled_wants_another_pass()
    {
        Assert.Equal("netpoll still compiled 200 methods in a pass", WhatIsLeft(("netpoll", 100, 900), ("netpoll", 90, 200)));
        Assert.Null(WhatIsLeft(("netpoll", 100, 900), ("netpoll", 100, 3)));
    }

    [Fact]
    public void A_scenario_without_a_rate_is_warm_when_its_code_is()
    {
        Assert.Null(WhatIsLeft(("netpoll", double.NaN, 900), ("netpoll", double.NaN, 3)));
    }

    private static string? WhatIsLeft(params (string Leg, double Rate, double Compiled)[] passes)
    {
        var warmUp = new WarmUp();
        foreach ((string leg, double rate, double compiled) in passes)
        {
            warmUp.Add(leg, new PassFigures { [Metrics.Rate] = rate, [Metrics.Compiled] = compiled });
        }

        return warmUp.WhatIsLeft;
    }
}
