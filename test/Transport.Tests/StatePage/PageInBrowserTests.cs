using System.Diagnostics;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Scheduling;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.StatePage;

/// <summary>The page, as Chromium shows it.</summary>
[OneMode]
public sealed class PageInBrowserTests
{
    [Fact]
    [Slow]
    public async Task The_page_shows_connections_charts_and_what_a_client_has_made_up_as_text()
    {
        string? browser = FindBrowser();
        Assert.SkipWhen(browser is null, "This test needs chromium, which is not found here.");
        using var obstacle = new Obstacle("event");
        await using StateServer server = await StateServer.StartAsync(setup =>
        {
            setup.Netpoll = static options => (options.ApplicationScheduling, options.NameBlockedRequests, options.WorkerGroupCount) =
                (ApplicationScheduling.Workers, true, 1);
            setup.App = _ =>
            {
                obstacle.Block();
                return Task.CompletedTask;
            };
        });

        // Routing begins with one request, and those beside it go on on the thread pool.
        await server.LookAsync();
        using RawClient client = await server.Server.ConnectAsync();
        await client.SendAsync("GET /%3Cimg%20id=evil%3E HTTP/1.1\r\nHost: x\r\n\r\n");
        string document;
        try
        {
            await server.LookUntilAsync(static found => found.GetRawText().Contains("id=evil", StringComparison.Ordinal), "it is told of");
            document = await ShowAsync(browser!, server.Page);
        }
        finally
        {
            obstacle.Release();
        }

        Assert.Contains($">{client.Socket.LocalEndPoint}<", document, StringComparison.Ordinal);
        Assert.Contains(">this page<", document, StringComparison.Ordinal);
        Assert.Contains("live, every 2 s", document, StringComparison.Ordinal);
        Assert.Contains("<polyline class=\"line s-blue\"", document, StringComparison.Ordinal);
        Assert.Contains("GET /&lt;img id=evil&gt;", document, StringComparison.Ordinal);
        Assert.DoesNotContain("<img", document, StringComparison.Ordinal);
    }

    /// <summary>It would be refused again each time.</summary>
    [Fact]
    [Slow]
    public async Task The_page_stops_asking_when_the_login_is_over()
    {
        string? browser = FindBrowser();
        Assert.SkipWhen(browser is null, "This test needs chromium, which is not found here.");
        int asked = 0;
        await using StateServer server = await StateServer.StartAsync(setup =>
        {
            Action<WebApplication>? mapPage = setup.Pipeline;
            setup.Pipeline = app =>
            {
                app.Use((context, next) =>
                {
                    if (context.Request.Path != $"{StateServer.Path}/state")
                    {
                        return next(context);
                    }

                    Interlocked.Increment(ref asked);
                    context.Response.Redirect("/login");
                    return Task.CompletedTask;
                });
                mapPage!(app);
            };
        });

        string document = await ShowAsync(browser!, server.Page);

        Assert.Contains("refused: log in again", document, StringComparison.Ordinal);
        Assert.Equal(1, asked);
    }

    // The document after some seconds of the page's time, which passes as fast as the server answers.
    private static async Task<string> ShowAsync(string browser, Uri page)
    {
        DirectoryInfo profile = Directory.CreateTempSubdirectory("netpoll-test-");
        try
        {
            using var process = Process.Start(new ProcessStartInfo(browser)
            {
                ArgumentList =
                {
                    "--headless", "--no-sandbox", "--disable-gpu", $"--user-data-dir={profile.FullName}", "--virtual-time-budget=5000",
                    "--dump-dom", page.ToString(),
                },
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            try
            {
                Task<string> errors = process.StandardError.ReadToEndAsync();
                string document = await process.StandardOutput.ReadToEndAsync().InTime();
                await process.WaitForExitAsync().InTime();
                Assert.True(document.Length != 0, await errors.InTime());
                return document;
            }
            finally
            {
                process.Kill(entireProcessTree: true);
            }
        }
        finally
        {
            // What it has started may still write while it goes.
            await Patience.UntilAsync(() => TryDelete(profile), "the browser's files are gone");
        }
    }

    private static bool TryDelete(DirectoryInfo folder)
    {
        try
        {
            folder.Delete(recursive: true);
            return true;
        }
        catch (IOException)
        {
            return !Directory.Exists(folder.FullName);
        }
    }

    private static string? FindBrowser() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .Select(static folder => Path.Combine(folder, "chromium"))
        .FirstOrDefault(File.Exists);
}
