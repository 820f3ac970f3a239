using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.ML.OnnxRuntime;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Access;
using ProxyTune.Gateway.Answers;
using ProxyTune.Gateway.Audits;
using ProxyTune.Gateway.Chat;
using ProxyTune.Gateway.CommandLine;
using ProxyTune.Gateway.Completions;
using ProxyTune.Gateway.Experts;
using ProxyTune.Gateway.Hosting;
using ProxyTune.Gateway.Models;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway;

/// <summary>An OpenAI-compatible server over fused models: <c>dotnet run --project src/Gateway [-- --models PATH] [--urls URL]</c>.</summary>
internal static class Program
{
    // Tokenising, rendering and loading of patches hold a thread each.
    private const int MinThreads = 64;

    private static readonly ChildProgram Self = ChildProgram.Of(typeof(Program).Assembly);

    public static async Task<int> Main(string[] args)
    {
        if (ChildCommand.TryRun(args) is { } code)
        {
            return code;
        }

        if (args is [ExpertsCommand.Name, ..])
        {
            return await ExpertsCommand.RunAsync(args);
        }

        if (args is [ImportCommand.Name, ..])
        {
            return await ImportCommand.RunAsync(args);
        }

        if (!ProcessLimits.Suffice())
        {
            return 1;
        }

        try
        {
            await using WebApplication app = Build(args);
            await app.RunAsync();
            return 0;
        }
        catch (Exception error) when (error is EngineException or IOException or FormatException)
        {
            // Wrong models, a port in use, or a wrong URL: the operator needs the message and no stack trace.
            await Console.Error.WriteLineAsync($"proxytune: {error.Message}");
            return 1;
        }
        catch (Exception error) when (error is OutOfMemoryException or TypeInitializationException or DllNotFoundException or OnnxRuntimeException)
        {
            ProcessLimits.Say(ProcessLimits.Describe(error));
            return 1;
        }
    }

    /// <summary>Loads the models and lays out the server; nothing listens yet.</summary>
    /// <param name="configure">Tests replace services with it.</param>
    internal static WebApplication Build(string[] args, Action<WebApplicationBuilder>? configure = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddEnvironmentVariables("PROXYTUNE_").AddCommandLine(args);
        GatewayOptions options = GatewayOptions.Read(builder.Configuration);

        // Tokenising and rendering are synchronous, and a template of an upload may be slow. The pool would add only one or two threads a second for the others.
        ThreadPool.GetMinThreads(out int workers, out int ports);
        ThreadPool.SetMinThreads(Math.Max(workers, MinThreads), ports);

        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(options.GraceSeconds));
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
            kestrel.Limits.MaxConcurrentConnections = options.MaxConnections;
        });
        builder.Services.ConfigureHttpJsonOptions(json =>
        {
            // The API's description shows names as they are in JSON, and numbers that may not be strings.
            json.SerializerOptions.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
        });
        Metrics.Add(builder.Services);
        builder.Services.AddOpenApi(OpenApiDocument.Configure);
        Authenticator.Add(builder.Services, options.Operator.Key);
        builder.Services.AddScoped<AnswerPipeline>();
        builder.Services.AddSingleton(_ => DroppedModels.Prepare(ModelsFor(options), options.Import, Console.Error));
        builder.Services.AddSingleton(services => ModelHost.Load(
            services.GetRequiredService<ModelFolders>(), options.Engine, new StoredUploads(services.GetRequiredService<ExpertStore>())));

        builder.Services.AddSingleton(services => new DecodeScheduler(services.GetRequiredService<ModelHost>().Ensemble, options.Scheduler));

        builder.Services.AddSingleton(services => ExpertStore.Open(options.ExpertsFolder ?? Path.Combine(services.GetRequiredService<ModelFolders>().Root, "experts"), options.Experts, new ChildTrial(Self, new(options.Experts.MaxTrialTime, options.Experts.MaxTrialBytes)).RunAsync));
        builder.Services.AddSingleton(services => ExpertRegistry.OpenAsync(
            services.GetRequiredService<ExpertStore>(), services.GetRequiredService<ModelHost>(), services.GetRequiredService<DecodeScheduler>()).GetAwaiter().GetResult());
        builder.Services.AddSingleton(services => new TaskEvaluation(options.Gate, services.GetRequiredService<IServer>(), options.Operator.Key));
        builder.Services.AddSingleton<Porting>();

        configure?.Invoke(builder);

        WebApplication app = builder.Build();
        app.Use(ErrorMiddleware.InvokeAsync);
        ChatEndpoint.Map(app);
        CompletionsEndpoint.Map(app);
        ModelsEndpoint.Map(app);
        AuditsEndpoint.Map(app);
        ExpertUploads.Map(app);
        ExpertsEndpoint.Map(app);
        ExpertServing.Map(app);
        ExpertPorting.Map(app);
        HealthEndpoint.Map(app);
        Metrics.Map(app);
        app.MapOpenApi();

        EndStreamsInTime(app, TimeSpan.FromSeconds(options.GraceSeconds));
        foreach ((string name, string reason) in app.Services.GetRequiredService<ExpertRegistry>().Failures)
        {
            app.Logger.LogWarning("'{Name}' is not served any more: {Reason}", name, reason);
        }

        app.Logger.LogInformation("Serving {Models}", string.Join(", ", app.Services.GetRequiredService<ModelHost>().Models.Select(DroppedModels.Describe)));
        return app;
    }

    /// <summary>Answers that still run near the end of the grace period end with an error event, before their connections are cut.</summary>
    private static void EndStreamsInTime(WebApplication app, TimeSpan grace)
    {
        DecodeScheduler scheduler = app.Services.GetRequiredService<DecodeScheduler>();
        app.Lifetime.ApplicationStopping.Register(() => _ = EndAsync());

        async Task EndAsync()
        {
            await Task.Delay(grace * 0.8, app.Lifetime.ApplicationStopped).ContinueWith(_ => { }, TaskScheduler.Default);
            await scheduler.DisposeAsync();
        }
    }

    private static string ModelsFor(GatewayOptions options) => ModelsFolder.Find(options.Models, Environment.CurrentDirectory, AppContext.BaseDirectory);
}
