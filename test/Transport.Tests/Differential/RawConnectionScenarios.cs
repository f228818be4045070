using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>Handlers without HTTP, which see the transport's pipes as they are.</summary>
public class RawConnectionScenarios
{
    [Fact]
    public Task Echo_until_the_client_ends() => CompareAsync(new Scenario
    {
        Connection = static async (connection, stage) =>
        {
            stage.Watch("closed", connection.ConnectionClosed);
            while (true)
            {
                ReadResult result = await connection.Transport.Input.ReadAsync();
                if (!result.Buffer.IsEmpty)
                {
                    stage.Note("data");
                    await connection.Transport.Output.WriteAsync(result.Buffer.ToArray());
                    connection.Transport.Input.AdvanceTo(result.Buffer.End);
                }
                else
                {
                    stage.Note($"nothing, completed: {result.IsCompleted}, cancelled: {result.IsCanceled}");
                    return;
                }
            }
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            for (int i = 0; i < 5; i++)
            {
                await client.SendAsync($"line {i};");
                await client.ReceiveUntilAsync($"line {i};");
            }

            client.Finish();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Answered("line 0;line 1;line 2;line 3;line 4;").Ended("FIN")
            .Noted("app: nothing, completed: True, cancelled: False", "closed: fired").Logged(6).Logged(7).Quiet(),
    });

    [Fact]
    public Task The_handler_completes_its_output_and_goes_on_reading() => CompareAsync(new Scenario
    {
        Connection = static async (connection, stage) =>
        {
            await connection.Transport.Output.WriteAsync("all of it"u8.ToArray());
            Task<ReadResult> reading = connection.Transport.Input.ReadAsync().AsTask();
            stage.Watch("closed", connection.ConnectionClosed);
            await connection.Transport.Output.CompleteAsync();
            await stage.TryAsync("the read that waited", () => reading);
            await stage.TryAsync("read", async () => await connection.Transport.Input.ReadAsync());
            await stage.ReachedAsync("closed");
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.ReceiveToEndAsync();
            await client.TrySendAsync("more"u8.ToArray());
        },

        // It ends both directions.
        OnBoth = static seen => seen.Answered("all of it").Ended("FIN").Logged(7).Quiet().Noted(
            "app: the read that waited: ConnectionAbortedException", "app: read: ConnectionAbortedException", "closed: fired"),
    });

    /// <summary>What the client is still sending does not destroy what it was sent.</summary>
    [Fact]
    public Task The_handler_completes_its_output_while_the_client_is_sending() => CompareAsync(new Scenario
    {
        Connection = static async (connection, stage) =>
        {
            await connection.Transport.Input.ReadAsync();
            await connection.Transport.Output.WriteAsync(new byte[500_000]);
            await connection.Transport.Output.CompleteAsync();
            await stage.ReachedAsync("over");
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            Task sending = client.TrySendAsync(new byte[3_000_000]);
            await client.ReceiveToEndAsync();
            stage.Reach("over");
            await sending;
        },
        OnBoth = static seen => seen.Quiet(),
        OnNetpoll = static seen => seen.Ended("FIN"),
        Differs = Aspects.Client | Aspects.TransportLog,
    });

    [Fact]
    public Task The_handler_completes_its_input_and_goes_on_writing() => CompareAsync(new Scenario
    {
        Connection = static async (connection, stage) =>
        {
            stage.Watch("closed", connection.ConnectionClosed);
            await connection.Transport.Input.CompleteAsync();
            await connection.Transport.Output.WriteAsync("written"u8.ToArray());
            await stage.TryAsync("read", async () => await connection.Transport.Input.ReadAsync());
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Answered("written").Ended("FIN").Noted("app: read: InvalidOperationException", "closed: fired").Quiet(),
    });

    [Fact]
    public Task The_handler_returns_with_input_unread() => CompareAsync(new Scenario
    {
        Connection = static async (connection, stage) =>
        {
            await connection.Transport.Input.ReadAsync();
            await connection.Transport.Output.WriteAsync("enough"u8.ToArray());
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync(new byte[100]);
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Answered("enough").Ended("FIN").Logged(7).Quiet(),
    });

    [Fact]
    public Task The_handler_throws() => CompareAsync(new Scenario
    {
        Connection = static (connection, _) => throw new InvalidOperationException("thrown on purpose"),
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => Assert.Single(seen.Ended("FIN").Logged(7).LoudLog),
    });

    // Bytes in the order they came, then the end.
    internal static async Task ReadAsync(ConnectionContext connection, Stage stage)
    {
        while (true)
        {
            ReadResult result = await connection.Transport.Input.ReadAsync();
            if (!result.Buffer.IsEmpty)
            {
                stage.Note(System.Text.Encoding.Latin1.GetString(result.Buffer.ToArray()));
            }

            connection.Transport.Input.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                stage.Note("the end");
                return;
            }
        }
    }
}
