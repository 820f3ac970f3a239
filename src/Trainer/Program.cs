using System.CommandLine;
using System.Runtime.InteropServices;
using ProxyTune.Decoding;
using ProxyTune.Trainer;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;

using var interrupted = new CancellationTokenSource();
using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);

var root = new RootCommand("Trains the models that ProxyTune serves.")
{
    Recipe<PretrainSettings>("pretrain", "Train a base on documents, or train one further.", Pretrain.Run),
    Recipe<SftSettings>("sft", "Tune a model on answers, all of it or a low-rank update.", Sft.Run),
    Recipe<CptSettings>("cpt", "Tune an expert for the fused model that it will steer.", Cpt.Run),
    ExportCommand(),
};
return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });

Command Recipe<T>(string name, string description, Action<T, CancellationToken> run)
    where T : IRunSettings
{
    var config = new Option<string>("--config") { Description = "The run's settings, a JSON file.", Required = true, HelpName = "FILE" };
    var command = new Command(name, description) { config };
    command.SetAction(arguments => Guard(() => run(SettingsFile.Load<T>(arguments.GetValue(config)!), interrupted.Token)));
    return command;
}

static Command ExportCommand()
{
    var model = new Option<string>("--model") { Description = "Checkpoint folder.", Required = true, HelpName = "FOLDER" };
    var adapter = new Option<string?>("--adapter") { Description = "Folder of a low-rank update to merge.", HelpName = "FOLDER" };
    var output = new Option<string>("--output") { Description = "Folder to serve.", Required = true, HelpName = "FOLDER" };
    var command = new Command("export", "Make a checkpoint servable, with or without a low-rank update.") { model, adapter, output };
    command.SetAction(arguments => Guard(() => Export.Run(arguments.GetValue(model)!, arguments.GetValue(adapter), arguments.GetValue(output)!)));
    return command;
}

// The first signal asks the run to write a checkpoint; a second one ends the process at once.
void Interrupt(PosixSignalContext signal)
{
    signal.Cancel = !interrupted.IsCancellationRequested;
    interrupted.Cancel();
}

static int Guard(Action run)
{
    try
    {
        run();
        return 0;
    }
    catch (OperationCanceledException stopped)
    {
        Console.Error.WriteLine(stopped.Message);
        return 130;
    }
    catch (Exception error) when (error is TrainingException or EngineException)
    {
        Console.Error.WriteLine($"error: {error.Message}");
        return 1;
    }
}
