using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Protocols;

namespace KestrelNetpoll.Transport.Tests.ProxyProtocol;

/// <summary>A proxy in the foreground, with a configuration and a folder of its own.</summary>
internal sealed class ProxyProcess : IAsyncDisposable
{
    // Another process may take a port between its choice and the start of the proxy.
    private const int Attempts = 5;

    private readonly Process _process;
    private readonly DirectoryInfo _folder;
    private readonly ConcurrentQueue<string> _lines = new();

    private ProxyProcess(Process process, DirectoryInfo folder, IPEndPoint endPoint)
    {
        _process = process;
        _folder = folder;
        EndPoint = endPoint;
    }

    /// <summary>Where clients connect to.</summary>
    internal IPEndPoint EndPoint { get; }

    internal string UnixSocket => UnixSocketIn(_folder.FullName);

    /// <summary>The place for a Unix socket in the proxy's folder.</summary>
    internal static string UnixSocketIn(string folder) => Path.Combine(folder, "proxy.sock");

    internal static void RequireHaproxy() => CommandLineTool.Require("haproxy", "haproxy is not installed (Debian package haproxy).");

    /// <summary>The line that loads nginx's module for TCP, if it is one.</summary>
    internal static async Task<string> RequireNginxAsync()
    {
        CommandLineTool.Require("nginx", "nginx is not installed (Debian packages nginx-light and libnginx-mod-stream).");
        string options = (await CommandLineTool.RunAsync("nginx", ["-V"])).Errors;
        Assert.SkipUnless(options.Contains("--with-stream", StringComparison.Ordinal), "This nginx has no stream module.");
        if (!options.Contains("--with-stream=dynamic", StringComparison.Ordinal))
        {
            return "";
        }

        const string Module = "/usr/lib/nginx/modules/ngx_stream_module.so";
        Assert.SkipUnless(File.Exists(Module), "nginx's stream module is not installed (Debian package libnginx-mod-stream).");
        return $"load_module {Module};";
    }

    /// <param name="server">Whom the proxy connects to.</param>
    /// <param name="proxyLine">The rest of the line that begins with "server x ADDRESS".</param>
    /// <param name="frontend">Lines of the frontend, in which FRONT stands for its address and FOLDER for the folder.</param>
    /// <param name="address">Where the proxy listens.</param>
    /// <param name="prepare">Puts files into the folder.</param>
    internal static Task<ProxyProcess> StartHaproxyAsync(
        EndPoint server, string proxyLine, string frontend = "bind FRONT", IPAddress? address = null, Action<string>? prepare = null) =>
        StartAsync("haproxy", "haproxy.cfg", static (_, configuration) => ["-db", "-f", configuration], address, prepare, $"""
            global
                maxconn 100
            defaults
                mode tcp
                timeout connect 30s
                timeout client 60s
                timeout server 60s
            listen front
                {frontend}
                server x {server} {proxyLine}

            """);

    internal static async Task<ProxyProcess> StartNginxAsync(EndPoint server, string lines, IPAddress? address = null)
    {
        string load = await RequireNginxAsync();
        string[] Arguments(string folder, string configuration) => ["-p", folder, "-e", "stderr", "-c", configuration];
        return await StartAsync("nginx", "nginx.conf", Arguments, address, null, $$"""
            {{load}}
            daemon off;
            master_process off;
            pid FOLDER/nginx.pid;
            error_log stderr;
            events { }
            stream {
                server {
                    listen FRONT;
                    proxy_pass {{server}};
                    {{lines}}
                }
            }

            """);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync().InTime();
        _process.Dispose();
        _folder.Delete(recursive: true);
    }

    private static async Task<ProxyProcess> StartAsync(
        string program,
        string file,
        Func<string, string, string[]> arguments,
        IPAddress? address,
        Action<string>? prepare,
        string configuration)
    {
        for (int attempt = 1; ; attempt++)
        {
            IPEndPoint endPoint = FreePort(address ?? IPAddress.Loopback);
            ProxyProcess proxy = await StartOnceAsync(program, file, arguments, endPoint, prepare, configuration);
            if (await proxy.ListensAsync())
            {
                return proxy;
            }

            string output = string.Join('\n', proxy._lines);
            await proxy.DisposeAsync();
            Assert.True(attempt < Attempts, $"{program} does not start: {output}");
        }
    }

    private static async Task<ProxyProcess> StartOnceAsync(
        string program,
        string file,
        Func<string, string, string[]> arguments,
        IPEndPoint endPoint,
        Action<string>? prepare,
        string configuration)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("netpoll");
        string path = Path.Combine(folder.FullName, file);
        prepare?.Invoke(folder.FullName);
        await File.WriteAllTextAsync(path, configuration
            .Replace("FRONT", endPoint.ToString(), StringComparison.Ordinal)
            .Replace("FOLDER", folder.FullName, StringComparison.Ordinal));
        ProcessStartInfo start = new(program, arguments(folder.FullName, path))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var proxy = new ProxyProcess(new Process { StartInfo = start }, folder, endPoint);
        proxy._process.OutputDataReceived += (_, line) => proxy._lines.Enqueue(line.Data ?? "");
        proxy._process.ErrorDataReceived += (_, line) => proxy._lines.Enqueue(line.Data ?? "");
        proxy._process.Start();
        proxy._process.BeginOutputReadLine();
        proxy._process.BeginErrorReadLine();
        return proxy;
    }

    // Not by connecting, which the server behind would see: by what the kernel says of listening sockets.
    private async Task<bool> ListensAsync()
    {
        bool listens = false;
        var system = IPGlobalProperties.GetIPGlobalProperties();
        await Patience.UntilAsync(
            () => (listens = system.GetActiveTcpListeners().Contains(EndPoint)) || _process.HasExited, "the proxy listens");
        return listens && !_process.HasExited;
    }

    private static IPEndPoint FreePort(IPAddress address)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(address, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }
}
