namespace KestrelNetpoll.Samples.Tests;

public sealed class ReverseProxyTests
{
    [Fact]
    public async Task It_asks_one_upstream_after_the_other()
    {
        await using SampleProcess sample = SampleProcess.Start("ReverseProxy", "--urls", "http://127.0.0.1:0");
        string address = await sample.FindAsync(@"^Transport: netpoll .* Listening on (\S+), for http\S+ and http\S+$");
        using var client = new HttpClient { BaseAddress = new Uri(address) };

        string[] answers = [await client.GetStringAsync("/some/path"), await client.GetStringAsync("/some/path")];

        Assert.Equal(["Upstream A: /some/path, for 127.0.0.1\n", "Upstream B: /some/path, for 127.0.0.1\n"], answers.Order());
        using HttpResponseMessage echo = await client.PostAsync("/", new StringContent("there and back"));
        Assert.Equal("there and back", await echo.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task An_upstream_that_is_named_twice_is_one()
    {
        await using SampleProcess sample = SampleProcess.Start(
            "ReverseProxy", "--urls", "http://127.0.0.1:0", "--upstreams", "http://127.0.0.1:1;http://127.0.0.1:1");

        Assert.Equal("http://127.0.0.1:1", await sample.FindAsync(", for (.*)$"));
    }
}
