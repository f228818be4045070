using KestrelNetpoll.Transport.Hosting;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Tests.Hosting
{
    /// <summary>Alone, since they set environment variables of the process.</summary>
    [Collection(nameof(Alone))]
    [OneMode]
    public class ServiceNotifierTests
    {
        [Theory]
        [InlineData(false)]
        [InlineData(true)]
        public async Task The_service_manager_is_told_that_the_host_has_started_and_that_it_stops(bool isAbstract)
        {
            using var manager = new ServiceManager(isAbstract);
            await using TestServer server = await StartAsync();

            Assert.Equal("READY=1", await manager.ReceiveAsync());
            Assert.True(manager.KnowsAll);
            await server.StopAsync();
            Assert.Equal("STOPPING=1", await manager.ReceiveAsync());
            Assert.Empty(server.Logs.Of(TransportKind.Netpoll, 117));
        }

        [Fact]
        public async Task Nobody_is_told_twice_and_nobody_who_has_not_asked()
        {
            using var manager = new ServiceManager();
            foreach (Action<IServiceCollection>? services in (Action<IServiceCollection>?[])[
                null,
                static services => services.AddSingleton<IHostLifetime, Microsoft.Extensions.Hosting.Systemd.SystemdLifetime>()])
            {
                await using (await TestServer.StartAsync(TransportKind.Netpoll, setup =>
                {
                    setup.Services = services;
                    setup.Netpoll = options => options.NotifySystemd = services is not null;
                }))
                {
                }

                Assert.True(manager.KnowsAll);
            }

            Environment.SetEnvironmentVariable("NOTIFY_SOCKET", null);
            await using TestServer server = await StartAsync();
            Assert.Empty(server.Logs.Of(TransportKind.Netpoll, 117));
        }

        [Theory]
        [InlineData("vsock:2:1")]
        [InlineData("/there/is/no/such/socket")]
        public async Task A_manager_that_cannot_be_told_is_a_warning(string socket)
        {
            Environment.SetEnvironmentVariable("NOTIFY_SOCKET", socket);
            try
            {
                await using TestServer server = await StartAsync();
                LogEntry entry = Assert.Single(server.Logs.Of(TransportKind.Netpoll, 117));
                Assert.Equal(LogLevel.Warning, entry.Level);
                Assert.Contains(socket, entry.Message, StringComparison.Ordinal);
            }
            finally
            {
                Environment.SetEnvironmentVariable("NOTIFY_SOCKET", null);
            }
        }

        /// <summary>Without an end, if the transport asked for the lifetime while it is made.</summary>
        [Fact]
        public async Task A_lifetime_of_the_host_may_need_the_server()
        {
            using var manager = new ServiceManager();
            await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, static setup =>
            {
                setup.Services = static services => services.AddSingleton<IHostLifetime, LifetimeWithServer>();
                setup.Netpoll = static options => options.NotifySystemd = true;
            });

            Assert.Equal("READY=1", await manager.ReceiveAsync());
        }

        [Fact]
        public async Task A_reload_has_a_time_and_a_successor_is_told_of_with_its_being_ready()
        {
            using var manager = new ServiceManager();
            using var logs = new LogCollector();
            ServiceNotifier notifier = ServiceNotifier.FromEnvironment(logs.CreateLogger("x"))!;

            notifier.Reloading();
            notifier.Succeeded(1234);

            Assert.Matches(@"^RELOADING=1\nMONOTONIC_USEC=[1-9]\d*$", await manager.ReceiveAsync());
            Assert.Equal("MAINPID=1234\nREADY=1", await manager.ReceiveAsync());
        }

        private static Task<TestServer> StartAsync() =>
            TestServer.StartAsync(TransportKind.Netpoll, static setup => setup.Netpoll = static options => options.NotifySystemd = true);

        private sealed class LifetimeWithServer(IServer server) : IHostLifetime
        {
            public Task WaitForStartAsync(CancellationToken cancellationToken)
            {
                Assert.NotNull(server);
                return Task.CompletedTask;
            }

            public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
        }
    }
}

namespace Microsoft.Extensions.Hosting.Systemd
{
    /// <summary>As the package's class is called, by which it is known here.</summary>
    internal sealed class SystemdLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
