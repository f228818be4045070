namespace KestrelNetpoll.Samples.Tests;

public sealed class CommandLineTests
{
    private const string NoAddress = "it must be an address, such as http://127.0.0.1:8080";
    private const string NoAddresses = $"{NoAddress}, or several, with semicolons between";

    private static readonly Option Number = new("seconds", "N", "how long") { IsNumber = true };
    private static readonly Option Port = new("port", "N", "where") { IsNumber = true, Maximum = 65_535 };
    private static readonly Option Server = new("server", "ADDRESS", "whom") { IsAddress = true };
    private static readonly Option Servers = new("servers", "ADDRESS[;ADDRESS...]", "all of whom") { IsAddress = true };

    [Theory]
    [InlineData(null)]
    [InlineData(null, "--way", "left", "--fast", "--seconds=0.5", "--Kestrel:Netpoll:WorkerCount", "4")]
    [InlineData(null, "--Way=right")]
    [InlineData("There is no option --wya.", "--wya", "left")]
    [InlineData("'-way' is no option.", "-way", "left")]
    [InlineData("'left' is no option.", "left")]
    [InlineData("--way needs a value.", "--fast", "--way")]
    [InlineData("--fast has no value.", "--fast=true")]
    [InlineData("--way is 'up'; it must be left or right.", "--way", "up")]
    [InlineData("--seconds is 'x'; it must be a number from 0 to 1,000,000.", "--seconds", "x")]
    [InlineData("--seconds is '-1'; it must be a number from 0 to 1,000,000.", "--seconds=-1")]
    [InlineData("--seconds is 'NaN'; it must be a number from 0 to 1,000,000.", "--seconds=NaN")]
    [InlineData(null, "--port", "65535")]
    [InlineData("--port is '65536'; it must be a number from 0 to 65,535.", "--port", "65536")]
    [InlineData(null, "--server", "https://localhost/", "--servers", "http://127.0.0.1:1;http://[::1]:2")]
    [InlineData($"--server is 'localhost:8080'; {NoAddress}.", "--server", "localhost:8080")]
    [InlineData($"--server is 'http://a:70000'; {NoAddress}.", "--server", "http://a:70000")]
    [InlineData($"--server is 'http://a;http://b'; {NoAddress}.", "--server", "http://a;http://b")]
    [InlineData($"--servers is 'http://a;b'; {NoAddresses}.", "--servers", "http://a;b")]
    [InlineData($"--servers is 'http://a;'; {NoAddresses}.", "--servers", "http://a;")]
    public void It_finds_the_mistake(string? mistake, params string[] arguments) =>
        Assert.Equal(mistake, Create().FindMistake(arguments));

    [Fact]
    public void It_knows_what_was_said_and_keeps_switches_from_the_configuration()
    {
        CommandLine commandLine = Create();
        Assert.Null(commandLine.FindMistake(["--fast", "--Seconds=0.5", "--a:b", "c"]));

        Assert.True(commandLine.Has("fast"));
        Assert.False(commandLine.Has("way"));
        Assert.Null(commandLine["way"]);
        Assert.Equal(0.5, commandLine.Number("seconds", 3));
        Assert.Equal(["--Seconds", "0.5", "--a:b", "c"], commandLine.Configuration);
        Assert.Equal(3, Create().Number("seconds", 3));
    }

    [Fact]
    public void The_help_has_every_option() => Assert.Equal(
        """
        Usage: Test [options]
          --way left|right                where to
          --fast                          in a hurry
          --seconds N                     how long
          --port N                        where
          --server ADDRESS                whom
          --servers ADDRESS[;ADDRESS...]  all of whom
          --SECTION:KEY VALUE             any setting of the configuration, such as --Kestrel:Netpoll:WorkerCount 4
          --help                          this text
        """,
        Create().Help);

    private static CommandLine Create() => new(
        "Test",
        new Option("way", "left|right", "where to"),
        new Option("fast", null, "in a hurry"),
        Number,
        Port,
        Server,
        Servers,
        Option.Setting);
}
