using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>How a connection ends for a handler without HTTP, and when it is told.</summary>
public class RawConnectionEndScenarios
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task The_handler_aborts(bool withReason) => CompareAsync(new Scenario
    {
        Connection = async (connection, stage) =>
        {
            stage.Watch("closed", connection.ConnectionClosed);
            await connection.Transport.Output.WriteAsync("a part"u8.ToArray());
            await stage.ReachedAsync("received");
            Task<ReadResult> reading = connection.Transport.Input.ReadAsync().AsTask();
            if (withReason)
            {
                connection.Abort(new ConnectionAbortedException("on purpose"));
            }
            else
            {
                connection.Abort();
            }

            await stage.TryAsync("the read that waited", () => reading);
            await stage.ReachedAsync("closed");
            await stage.TryAsync("read", async () => await connection.Transport.Input.ReadAsync());
            await stage.TryAsync("write", async () => await connection.Transport.Output.WriteAsync("too late"u8.ToArray()));
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.ReceiveUntilAsync("a part");
            stage.Reach("received");
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Ended("RST").Logged(8).Quiet().Noted(
            "app: the read that waited: ConnectionAbortedException", "closed: fired", "app: write: done"),
    });

    /// <summary>A proxy whose other side has failed: what was sent is not all there is.</summary>
    [Fact]
    public Task The_handler_completes_its_output_with_an_error() => CompareAsync(new Scenario
    {
        Connection = static async (connection, stage) =>
        {
            await connection.Transport.Output.WriteAsync("a part"u8.ToArray());
            await stage.ReachedAsync("received");
            await connection.Transport.Output.CompleteAsync(new InvalidDataException("broken"));
            await stage.ReachedAsync("ended");
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.ReceiveUntilAsync("a part");
            stage.Reach("received");
            await client.ReceiveToEndAsync();
            stage.Reach("ended");
        },
        OnBoth = static seen => seen.Ended("RST").Logged(8).Logged(14).Quiet(),
    });

    [Fact]
    public Task ConnectionClosed_fires_on_the_clients_FIN_and_the_handler_still_answers() => CompareAsync(new Scenario
    {
        Connection = static async (connection, stage) =>
        {
            stage.Watch("closed", connection.ConnectionClosed);
            await RawConnectionScenarios.ReadAsync(connection, stage);
            await stage.ReachedAsync("closed");
            await connection.Transport.Output.WriteAsync("answer"u8.ToArray());
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync("request");
            client.Finish();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Answered("answer").Ended("FIN").Noted("app: request", "app: the end", "closed: fired").Logged(6).Logged(7).Quiet(),
    });

    [Fact]
    public Task ConnectionClosed_fires_on_the_servers_FIN_after_the_handler_has_returned() => CompareAsync(new Scenario
    {
        Connection = static (connection, stage) =>
        {
            stage.Watch("closed", connection.ConnectionClosed);
            stage.Note("closed", $"at the end of the handler: {connection.ConnectionClosed.IsCancellationRequested}");
            return Task.CompletedTask;
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.ReceiveToEndAsync();
            await stage.ReachedAsync("closed");
        },
        OnBoth = static seen => Assert.Equal(["closed: at the end of the handler: False", "closed: fired"], seen.Ended("FIN").Quiet().App),
    });

    [Fact]
    public Task A_callback_of_ConnectionClosed_throws() => CompareAsync(new Scenario
    {
        Connection = static (connection, stage) =>
        {
            connection.ConnectionClosed.Register(static () => throw new InvalidOperationException("thrown on purpose"));
            return Task.CompletedTask;
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => Assert.StartsWith("Error transport", Assert.Single(seen.Ended("FIN").LoudLog), StringComparison.Ordinal),

        // The ids of such events are each transport's own.
        Differs = Aspects.LoudLog,
    });

    [Fact]
    public Task The_client_resets_while_the_handler_reads() => CompareAsync(new Scenario
    {
        Connection = static async (connection, stage) =>
        {
            stage.Watch("closed", connection.ConnectionClosed);
            await stage.TryAsync("read", async () => await connection.Transport.Input.ReadAsync());
            await stage.TryAsync("read again", async () => await connection.Transport.Input.ReadAsync());
            await stage.ReachedAsync("closed");
            await stage.TryAsync("write", async () => await connection.Transport.Output.WriteAsync("too late"u8.ToArray()));
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await stage.AllAcceptedAsync();
            client.Reset();
        },
        OnBoth = static seen => seen.Noted(
            "app: read: ConnectionResetException", "app: read again: ConnectionResetException", "app: write: done", "closed: fired").Logged(19).Quiet(),
    });
}
